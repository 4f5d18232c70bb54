//! What a paper needs: calibrate, components, measure, mesh, correlate.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use super::Subcommand;
use super::files::{array_output, check_folder, output_arg, path, path_arg, path_option, write_array};
use super::options::{UsageError, command_of, op, params_of};
use super::segment::{read_labels, read_volume};
use super::shell::Shell;
use crate::io::{self, WriteRequest};
use crate::ops::{Data, Inputs};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: calibrate_command, run: calibrate },
        Subcommand { build: components_command, run: components },
        Subcommand { build: measure_command, run: measure },
        Subcommand { build: mesh_command, run: mesh },
        Subcommand { build: correlate_command, run: correlate },
    ]
}

fn calibrate_command() -> Command {
    command_of(op("calibrate"), &["apply"])
        .arg(path_arg("volume", "A reconstruction in 1/µm"))
        .arg(path_option("labels", "LABELS", "Where --reference-class and --vacuum-class lie"))
        .arg(path_option("output", "VOLUME", "Write the volume with slope and offset taken out").short('o'))
        .arg(path_option("table", "CSV", "Also write the numbers"))
}

fn calibrate(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("calibrate");
    let mut params = params_of(op, matches)?;
    let file = path(matches, "volume")?;
    let output = matches.get_one::<PathBuf>("output");
    output.map_or(Ok(()), |target| io::check_array_output(target))?;
    let table_file = matches.get_one::<PathBuf>("table");
    table_file.map_or(Ok(()), |target| io::check_writable(target))?;
    let header = io::read_header(file)?;
    if params["energy_ev"].is_null() {
        params["energy_ev"] = json!(header.energy_ev);
    }
    params["apply"] = json!(output.is_some());
    let mut inputs = Inputs::default().with("volume", Data::Volume(read_volume(shell, file)?));
    if let Some(labels) = matches.get_one::<PathBuf>("labels") {
        inputs = inputs.with("labels", Data::Labels(Arc::new(read_labels(shell, labels)?)));
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let mut result = outcome.details.clone();
    if let (Some(target), Some(Data::Volume(volume))) = (output, outcome.get("calibrated")) {
        let mut request = WriteRequest::volume(volume);
        request.metadata.clone_from(&header.metadata);
        let (slope, offset) = (&result["slope"], &result["offset_per_um"]);
        let made =
            format!("waterwindow {} calibrate slope={slope} offset={offset}", env!("CARGO_PKG_VERSION"));
        request.metadata.insert("made_by".to_owned(), made);
        request.energy_ev = params["energy_ev"].as_f64();
        result["output"] = write_array(shell, target, &request)?["output"].clone();
    }
    if let (Some(target), Some(Data::Table(table))) = (table_file, outcome.get("calibration")) {
        io::write_text(target, &table.to_csv())?;
        result["table"] = json!(target);
    }
    shell.finish(&result);
    Ok(())
}

fn measure_command() -> Command {
    command_of(op("measure"), &[])
        .arg(path_arg("volume", "Values for the LAC columns"))
        .arg(path_arg("labels", "Classes, on the grid of the volume"))
        .arg(output_arg("TABLE.csv", "One row per class, or per object with --instances"))
}

fn measure(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("measure");
    let params = params_of(op, matches)?;
    let file = path(matches, "output")?;
    io::check_writable(file)?;
    let inputs = Inputs::default()
        .with("volume", Data::Volume(read_volume(shell, path(matches, "volume")?)?))
        .with("labels", Data::Labels(Arc::new(read_labels(shell, path(matches, "labels")?)?)));
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Table(table)) = outcome.get("measurements") else { anyhow::bail!("nothing was measured") };
    io::write_text(file, &table.to_csv())?;
    shell.finish(&json!({ "output": file, "rows": table.rows.len(), "notes": outcome.notes }));
    Ok(())
}

fn components_command() -> Command {
    command_of(op("components"), &[])
        .arg(path_arg("labels", "Classes"))
        .arg(output_arg("INSTANCES", "Id of the object of each voxel, 0 outside"))
        .arg(path_option("table", "CSV", "Also write which class each object belongs to, and its voxels"))
}

fn components(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("components");
    let params = params_of(op, matches)?;
    let target = array_output(matches, "output")?;
    let table_file = matches.get_one::<PathBuf>("table");
    table_file.map_or(Ok(()), |file| io::check_writable(file))?;
    let labels = read_labels(shell, path(matches, "labels")?)?;
    let inputs = Inputs::default().with("labels", Data::Labels(Arc::new(labels)));
    let outcome = shell.execute(op, &inputs, &params)?;
    let (Some(Data::Regions(map)), Some(Data::Table(table))) =
        (outcome.get("instances"), outcome.get("objects"))
    else {
        anyhow::bail!("no objects were found")
    };
    let mut result = write_array(shell, target, &WriteRequest::volume(map))?;
    if let Some(file) = table_file {
        io::write_text(file, &table.to_csv())?;
        result["table"] = json!(file);
    }
    result["shape_zyx"] = json!(map.shape());
    result["objects"] = outcome.details["objects"].clone();
    result["notes"] = json!(outcome.notes);
    shell.finish(&result);
    Ok(())
}

fn mesh_command() -> Command {
    command_of(op("mesh"), &["smoothing_voxels"])
        .arg(path_arg("labels", "Classes"))
        .arg(output_arg(
            "DIR|FILE.{ply,stl,obj,glb}",
            "A folder gets one file a class; a file gets all classes",
        ))
        .arg(
            Arg::new("smoothing_voxels")
                .long("smoothing")
                .value_name("VOXELS")
                .help("Smoothing of a class before its surface is cut, 0 to 3 voxels [default: 0.8]"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_parser(io::MESH_EXTENSIONS)
                .help("Format of the files in a folder [default: ply]"),
        )
        .arg(path_option("volume", "FILE", "Values for the LAC at the vertices, with --values"))
}

fn mesh(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("mesh");
    let params = params_of(op, matches)?;
    let target = path(matches, "output")?;
    let extension = target.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    let format = matches.get_one::<String>("format").map(String::as_str);
    let is_file = extension.as_deref().is_some_and(|e| io::MESH_EXTENSIONS.contains(&e));
    if is_file {
        if let Some(format) = format.filter(|format| Some(*format) != extension.as_deref()) {
            let name = target.display();
            return Err(UsageError(format!("--format {format} does not go with the file name {name}")).into());
        }
        io::check_writable(target)?;
    } else {
        anyhow::ensure!(
            extension.is_none() || target.is_dir(),
            "no mesh is written under this extension; a file name ends in .ply, .stl, .obj or .glb, a folder in none ({})",
            target.display()
        );
        check_folder(target)?;
    }
    let labels = read_labels(shell, path(matches, "labels")?)?;
    let mut inputs = Inputs::default().with("labels", Data::Labels(Arc::new(labels)));
    if let Some(file) = matches.get_one::<PathBuf>("volume") {
        inputs = inputs.with("volume", Data::Volume(read_volume(shell, file)?));
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Meshes(meshes)) = outcome.get("meshes") else { anyhow::bail!("no mesh was made") };
    if is_file {
        io::write_meshes(target, meshes)?;
    } else {
        io::create_folder(target)?;
        for mesh in meshes.iter() {
            let name = format!("{}.{}", file_name(&mesh.name), format.unwrap_or("ply"));
            io::write_meshes(&target.join(name), std::slice::from_ref(mesh))?;
        }
    }
    shell.finish(&json!({ "output": target, "meshes": outcome.details["meshes"], "notes": outcome.notes }));
    Ok(())
}

/// A class name as a file name: what could be a path is replaced.
fn file_name(name: &str) -> String {
    let safe: String =
        name.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect();
    if safe.is_empty() { "class".to_owned() } else { safe }
}

fn correlate_command() -> Command {
    command_of(op("correlate"), &[])
        .arg(path_arg("moving", "The volume that is brought over"))
        .arg(path_arg("fixed", "The volume whose frame is kept"))
        .arg(path_option("landmarks", "CSV", "Pairs: name,moving_x_um,…,fixed_z_um,used").required(true))
        .arg(output_arg("TRANSFORM.json", "fixed_from_moving in µm, with the residuals on stdout"))
        .arg(path_option("apply", "OUT", "Also write the moving volume on the grid of the fixed one"))
        .arg(path_option("residuals", "CSV", "Also write the error of each pair"))
}

fn correlate(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("correlate");
    let params = params_of(op, matches)?;
    let file = path(matches, "output")?;
    io::check_writable(file)?;
    let apply = matches.get_one::<PathBuf>("apply");
    apply.map_or(Ok(()), |target| io::check_array_output(target))?;
    let residuals = matches.get_one::<PathBuf>("residuals");
    residuals.map_or(Ok(()), |target| io::check_writable(target))?;
    let landmarks = io::read_landmarks(path(matches, "landmarks")?)?;
    let mut inputs = Inputs::default().with("landmarks", Data::Landmarks(Arc::new(landmarks)));
    for slot in ["moving", "fixed"] {
        // Without --apply the volumes only have to be there.
        if apply.is_some() {
            inputs = inputs.with(slot, Data::Volume(read_volume(shell, path(matches, slot)?)?));
        } else {
            io::read_header(path(matches, slot)?)?;
        }
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Transform(transform)) = outcome.get("transform") else {
        anyhow::bail!("nothing was fitted")
    };
    if let (Some(target), Some(Data::Volume(moved))) = (apply, outcome.get("moved")) {
        write_array(shell, target, &WriteRequest::volume(moved))?;
    }
    if let (Some(target), Some(Data::Table(table))) = (residuals, outcome.get("residuals")) {
        io::write_text(target, &table.to_csv())?;
    }
    io::write_transform(file, transform)?;
    let mut result = outcome.details.clone();
    result["output"] = json!(file);
    result["applied"] = json!(apply);
    result["warnings"] = json!(outcome.notes);
    shell.finish(&result);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_cannot_leave_the_folder() {
        assert_eq!(file_name("../lipid droplets"), "___lipid_droplets");
        assert_eq!(file_name(""), "class");
    }
}
