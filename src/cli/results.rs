//! What a paper needs: measure, mesh, correlate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use serde_json::json;

use super::Subcommand;
use super::files::{output_arg, path, path_arg, path_option, write_array};
use super::options::{command_of, op, params_of};
use super::segment::{read_labels, read_volume};
use super::shell::Shell;
use crate::io::{self, WriteRequest};
use crate::kernels::registration::{fit_affine, fit_similarity};
use crate::kernels::resample::{GridFrame, resample};
use crate::mesh::{Mesh, MeshParams, mesh_class};
use crate::ops::{Data, Inputs};
use crate::volume::landmarks::{Landmark, Transform, TransformModel};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: measure_command, run: measure },
        Subcommand { build: mesh_command, run: mesh },
        Subcommand { build: correlate_command, run: correlate },
    ]
}

fn measure_command() -> Command {
    command_of(op("measure"), &[])
        .arg(path_arg("volume", "Values for the LAC columns"))
        .arg(path_arg("labels", "Classes, on the grid of the volume"))
        .arg(output_arg("TABLE.csv", "One row per class, or per object with --instances"))
}

fn measure(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("measure");
    let inputs = Inputs::default()
        .with("volume", Data::Volume(read_volume(shell, path(matches, "volume")?)?))
        .with("labels", Data::Labels(Arc::new(read_labels(shell, path(matches, "labels")?)?)));
    let outcome = shell.execute(op, &inputs, &params_of(op, matches)?)?;
    let Some(Data::Table(table)) = outcome.get("measurements") else { anyhow::bail!("nothing was measured") };
    let file = path(matches, "output")?;
    io::write_text(file, &table.to_csv())?;
    shell.finish(&json!({ "output": file, "rows": table.rows.len(), "notes": outcome.notes }));
    Ok(())
}

fn mesh_command() -> Command {
    Command::new("mesh")
        .about("Cut a closed surface of every class, vertices in µm")
        .arg(path_arg("labels", "Classes"))
        .arg(output_arg("DIR|FILE.ply|FILE.stl", "A folder gets CLASS.ply each; a file gets all classes"))
        .arg(
            Arg::new("smoothing")
                .long("smoothing")
                .value_name("VOXELS")
                .value_parser(clap::value_parser!(f64))
                .help("Smoothing of a class before its surface is cut, 0 to 3 voxels [default: 0.8]"),
        )
}

fn mesh(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let data = read_labels(shell, path(matches, "labels")?)?;
    let target = path(matches, "output")?;
    let params = MeshParams {
        smoothing_voxels: matches
            .get_one("smoothing")
            .copied()
            .unwrap_or(MeshParams::default().smoothing_voxels),
        ..MeshParams::default()
    };
    if data.voxel_um.is_none() {
        shell.note("The voxel size is unknown, so vertices are in voxels");
    }
    let ids = data.labels.to_dense();
    let voxel_um = data.voxel_um.unwrap_or([1.0; 3]);
    let mut meshes: Vec<(u16, Mesh)> = Vec::new();
    for class in data.classes.classes.iter().filter(|class| ids.iter().any(|id| *id == class.id)) {
        let made = shell.with_progress(|progress| {
            mesh_class(progress, &ids.view(), class, voxel_um, data.origin_um, &params)
        })?;
        meshes.push((class.id, made));
    }
    anyhow::ensure!(!meshes.is_empty(), "nothing is labelled, so there is no surface to cut");
    let is_file =
        target.extension().is_some_and(|e| e.eq_ignore_ascii_case("ply") || e.eq_ignore_ascii_case("stl"));
    let result: Vec<_> = meshes
        .iter()
        .map(|(id, mesh)| {
            json!({
                "class": id, "name": mesh.name, "triangles": mesh.triangles.len(),
                "volume_um3": mesh.volume_um3(), "volume_error": mesh.volume_error(), "area_um2": mesh.area_um2(),
            })
        })
        .collect();
    if is_file {
        let all: Vec<Mesh> = meshes.into_iter().map(|(_, mesh)| mesh).collect();
        io::write_meshes(target, &all)?;
    } else {
        io::create_folder(target)?;
        for (_, mesh) in meshes {
            io::write_meshes(&target.join(format!("{}.ply", file_name(&mesh.name))), &[mesh])?;
        }
    }
    shell.finish(&json!({ "output": target, "meshes": result }));
    Ok(())
}

/// A class name as a file name: what could be a path is replaced.
fn file_name(name: &str) -> String {
    let safe: String =
        name.chars().map(|c| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect();
    if safe.is_empty() { "class".to_owned() } else { safe }
}

fn correlate_command() -> Command {
    Command::new("correlate")
        .about("Bring a volume into the frame of another by landmark pairs")
        .arg(path_arg("moving", "The volume that is brought over"))
        .arg(path_arg("fixed", "The volume whose frame is kept"))
        .arg(path_option("landmarks", "CSV", "Pairs: name,moving_x_um,…,fixed_z_um,used").required(true))
        .arg(
            Arg::new("model")
                .long("model")
                .value_parser(["rigid", "similarity", "affine"])
                .default_value("rigid")
                .help("Rotation and shift; with one scale; or with shear"),
        )
        .arg(output_arg("TRANSFORM.json", "fixed_from_moving in µm, with the residuals on stdout"))
        .arg(path_option("apply", "OUT", "Also write the moving volume on the grid of the fixed one"))
}

/// The fit, and the model that was fitted.
fn fit(word: &str, used: &[&Landmark]) -> anyhow::Result<Transform> {
    let moving: Vec<_> = used.iter().map(|pair| glam::DVec3::from(pair.moving_um)).collect();
    let fixed: Vec<_> = used.iter().map(|pair| glam::DVec3::from(pair.fixed_um)).collect();
    let (model, needed, found) = match word {
        "affine" => (TransformModel::Affine, 5, fit_affine(&moving, &fixed)),
        "similarity" => (TransformModel::Similarity, 3, fit_similarity(&moving, &fixed, true)),
        _ => (TransformModel::Rigid, 3, fit_similarity(&moving, &fixed, false)),
    };
    anyhow::ensure!(
        used.len() >= needed,
        "{} landmark pairs are used, a {word} fit needs at least {needed}: add pairs or choose a simpler model",
        used.len()
    );
    let found = found.ok_or_else(|| {
        anyhow::anyhow!("the landmarks lie on one line or in one plane, which a {word} fit cannot be read from: add a pair away from the others")
    })?;
    Ok(Transform::new(model, &found))
}

fn correlate(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let landmarks = io::read_landmarks(path(matches, "landmarks")?)?;
    let used: Vec<&Landmark> = landmarks.iter().filter(|pair| pair.used).collect();
    let word = matches.get_one::<String>("model").map_or("rigid", String::as_str);
    let transform = fit(word, &used)?;
    let residual = |pair: &Landmark| {
        let brought = glam::DVec3::from(transform.apply(pair.moving_um));
        (brought - glam::DVec3::from(pair.fixed_um)).length()
    };
    let residuals: Vec<_> = landmarks
        .iter()
        .map(|pair| json!({ "name": pair.name, "used": pair.used, "residual_um": residual(pair) }))
        .collect();
    let fre = (used.iter().map(|pair| residual(pair).powi(2)).sum::<f64>() / used.len() as f64).sqrt();
    let file = path(matches, "output")?;
    if let Some(target) = matches.get_one::<PathBuf>("apply") {
        apply(shell, matches, &transform, target)?;
    }
    io::write_transform(file, &transform)?;
    shell.finish(&json!({ "output": file, "model": word, "fre_um": fre, "landmarks": residuals }));
    Ok(())
}

fn apply(shell: &Shell, matches: &ArgMatches, transform: &Transform, target: &Path) -> anyhow::Result<()> {
    let moving = read_volume(shell, path(matches, "moving")?)?;
    let fixed = read_volume(shell, path(matches, "fixed")?)?;
    let grid = GridFrame::of(&*fixed);
    let brought =
        shell.with_progress(|progress| resample(progress, &moving, &transform.affine(), &grid, 0.0))?;
    write_array(shell, target, &WriteRequest::volume(&brought))?;
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
