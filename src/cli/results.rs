//! What a paper needs: calibrate, components, measure, mesh, correlate.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use super::Subcommand;
use super::files::{array_output, check_folder, output_arg, path, path_arg, path_option, write_array};
use super::options::{UsageError, command_of, op, params_of};
use super::segment::{
    ids_input, objects_option, read_ids, read_ids_argument, read_labels, read_volume, resample_option,
    write_data, write_labels, write_regions,
};
use super::shell::Shell;
use crate::io::{self, WriteRequest};
use crate::mesh::Mesh;
use crate::ops::{Data, Inputs};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: calibrate_command, run: calibrate },
        Subcommand { build: components_command, run: components },
        Subcommand { build: resample_command, run: resample },
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
        .arg(resample_option())
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
        .arg(path_arg("labels", "Classes or objects, on the grid of the volume"))
        .arg(objects_option())
        .arg(resample_option())
        .arg(output_arg("TABLE.csv", "One row per class, or per object with --instances"))
}

fn measure(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("measure");
    let params = params_of(op, matches)?;
    let file = path(matches, "output")?;
    io::check_writable(file)?;
    let inputs =
        Inputs::default().with("volume", Data::Volume(read_volume(shell, path(matches, "volume")?)?));
    let inputs = ids_input(inputs, read_ids_argument(shell, matches)?);
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Table(table)) = outcome.get("measurements") else { anyhow::bail!("nothing was measured") };
    io::write_text(file, &table.to_csv())?;
    shell.finish(&json!({ "output": file, "rows": table.rows.len(), "notes": outcome.notes }));
    Ok(())
}

fn components_command() -> Command {
    command_of(op("components"), &[])
        .arg(path_arg("labels", "Classes or objects"))
        .arg(output_arg("INSTANCES", "Id of the object of each voxel, 0 outside, with the class of each"))
        .arg(path_option("table", "CSV", "Also write which class each object belongs to, and its voxels"))
        .arg(objects_option())
}

fn components(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("components");
    let params = params_of(op, matches)?;
    let target = array_output(matches, "output")?;
    let table_file = matches.get_one::<PathBuf>("table");
    table_file.map_or(Ok(()), |file| io::check_writable(file))?;
    let inputs = ids_input(Inputs::default(), read_ids_argument(shell, matches)?);
    let outcome = shell.execute(op, &inputs, &params)?;
    let (Some(Data::Regions(map)), Some(Data::Table(table))) =
        (outcome.get("instances"), outcome.get("objects"))
    else {
        anyhow::bail!("no objects were found")
    };
    let mut result = write_regions(shell, target, map)?;
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

fn resample_command() -> Command {
    command_of(op("resample"), &[])
        .arg(path_arg("labels", "Classes or objects"))
        .arg(path_option("like", "VOLUME", "The volume whose grid they are to have").required(true))
        .arg(output_arg("LABELS", "The same ids on that grid"))
        .arg(objects_option())
        .after_help("Example:\n  waterwindow resample binned_labels.mrc --like cell.mrc -o labels.mrc")
}

fn resample(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("resample");
    let target = array_output(matches, "output")?;
    let ids = read_ids_argument(shell, matches)?;
    let volume = Data::Volume(read_volume(shell, path(matches, "like")?)?);
    let outcome = shell.execute(op, &ids_input(Inputs::default(), ids).with("volume", volume), &json!({}))?;
    let mut result = match outcome.get("on the grid") {
        Some(Data::Labels(labels)) => write_labels(shell, target, labels)?,
        Some(Data::Regions(map)) => write_regions(shell, target, map)?,
        _ => anyhow::bail!("nothing was brought over"),
    };
    result["notes"] = json!(outcome.notes);
    shell.finish(&result);
    Ok(())
}

fn mesh_command() -> Command {
    command_of(op("mesh"), &["smoothing_voxels"])
        .arg(path_arg("labels", "Classes or objects"))
        .arg(objects_option().id("object-table").long("object-table"))
        .arg(resample_option())
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
    let mut inputs = ids_input(Inputs::default(), read_ids_argument(shell, matches)?);
    if let Some(file) = matches.get_one::<PathBuf>("volume") {
        inputs = inputs.with("volume", Data::Volume(read_volume(shell, file)?));
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Meshes(meshes)) = outcome.get("meshes") else { anyhow::bail!("no mesh was made") };
    if is_file {
        io::write_meshes(target, meshes)?;
    } else {
        io::create_folder(target)?;
        for (mesh, name) in meshes.iter().zip(file_names(meshes)) {
            let name = format!("{name}.{}", format.unwrap_or("ply"));
            io::write_meshes(&target.join(name), std::slice::from_ref(mesh))?;
        }
    }
    shell.finish(&json!({ "output": target, "meshes": outcome.details["meshes"], "notes": outcome.notes }));
    Ok(())
}

/// A file name for each mesh, no two alike: names that would be one file get the class or object behind them.
fn file_names(meshes: &[Mesh]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let unique = |mesh: &Mesh| {
        let name = file_name(&mesh.name);
        // Some file systems do not tell capitals from small letters.
        if taken.insert(name.to_lowercase()) {
            return name;
        }
        let id = mesh.object.unwrap_or(u32::from(mesh.class));
        let others = (0..).map(|n| if n == 0 { format!("{name}_{id}") } else { format!("{name}_{id}_{n}") });
        others.into_iter().find(|other| taken.insert(other.to_lowercase())).unwrap_or(name)
    };
    meshes.iter().map(unique).collect()
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
    let moving = path(matches, "moving")?;
    // Without --apply the volumes only have to be there.
    let kind = io::read_header_of(moving, &shell.read_options(moving))?.kind;
    match apply {
        Some(_) => {
            inputs = match kind {
                io::Kind::Labels => ids_input(inputs, read_ids(shell, moving, None)?),
                _ => inputs.with("moving", Data::Volume(read_volume(shell, moving)?)),
            };
            inputs = inputs.with("fixed", Data::Volume(read_volume(shell, path(matches, "fixed")?)?));
        }
        None => drop(io::read_header(path(matches, "fixed")?)?),
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Transform(transform)) = outcome.get("transform") else {
        anyhow::bail!("nothing was fitted")
    };
    if let (Some(target), Some(moved)) = (apply, outcome.get("moved")) {
        write_data(shell, target, moved)?;
    }
    if let (Some(target), Some(Data::Table(table))) = (residuals, outcome.get("residuals")) {
        io::write_text(target, &table.to_csv())?;
    }
    io::write_transform(file, transform)?;
    let mut result = outcome.details.clone();
    result["output"] = json!(file);
    result["applied"] = json!(apply);
    shell.finish(&result);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_be_one_file_are_kept_apart() {
        let named =
            |name: &str, class, object| Mesh { name: name.to_owned(), class, object, ..Mesh::default() };
        let meshes =
            [named("a b", 1, None), named("a_b", 2, None), named("A b", 3, Some(7)), named("a_b_2", 4, None)];
        assert_eq!(file_names(&meshes), ["a_b", "a_b_2", "A_b_7", "a_b_2_4"]);
    }

    #[test]
    fn class_names_cannot_leave_the_folder() {
        assert_eq!(file_name("../lipid droplets"), "___lipid_droplets");
        assert_eq!(file_name(""), "class");
    }
}
