//! The other segmenting tools: threshold, watershed, surface, carve, interpolate, clean, split.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{array_output, output_arg, path, path_arg, path_option};
use super::options::{command_of, op, params_of};
use super::segment::{
    ids_input, mask_input, mask_option, objects_option, read_ids_argument, read_labels, read_volume,
    resample_option, write_data, write_labels, write_regions,
};
use super::shell::Shell;
use crate::io;
use crate::ops::{Data, Inputs, Outcome};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: threshold_command, run: threshold },
        Subcommand { build: clean_command, run: clean },
        Subcommand { build: watershed_command, run: watershed },
        Subcommand { build: surface_command, run: surface },
        Subcommand { build: carve_command, run: carve },
        Subcommand { build: interpolate_command, run: interpolate },
        Subcommand { build: split_command, run: split },
    ]
}

fn table_option() -> clap::Arg {
    path_option("table", "CSV", "Also write the numbers of each class or object")
}

/// Sees to it, before any work, that what --table names can be written.
fn check_table(matches: &ArgMatches) -> anyhow::Result<()> {
    Ok(matches.get_one::<PathBuf>("table").map_or(Ok(()), |file| io::check_writable(file))?)
}

/// Writes the table of an outcome where --table asks for it.
fn write_table(
    matches: &ArgMatches,
    outcome: &Outcome,
    slot: &str,
    result: &mut Value,
) -> anyhow::Result<()> {
    if let (Some(file), Some(Data::Table(table))) = (matches.get_one::<PathBuf>("table"), outcome.get(slot)) {
        io::write_text(file, &table.to_csv())?;
        result["table"] = json!(file);
    }
    Ok(())
}

/// Writes the labels of an outcome under -o and says how it went, with the details of the operation.
fn write_outcome(
    shell: &Shell,
    matches: &ArgMatches,
    outcome: &Outcome,
    slot: &str,
) -> anyhow::Result<Value> {
    let Some(labels) = outcome.get(slot) else { anyhow::bail!("no labels were made") };
    let mut result = write_data(shell, path(matches, "output")?, labels)?;
    if let Value::Object(details) = &outcome.details {
        for (name, value) in details {
            result[name.as_str()] = value.clone();
        }
    }
    result["notes"] = json!(outcome.notes);
    Ok(result)
}

fn threshold_command() -> Command {
    command_of(op("threshold"), &[])
        .arg(path_arg("volume", "What is labelled"))
        .arg(output_arg("LABELS", "Classes from 1 by ascending value, 0 elsewhere"))
        .arg(mask_option())
        .arg(resample_option())
        .arg(table_option())
        .after_help(
            "Examples:\n  waterwindow threshold cell.mrc -o lipid.mrc --method range --low 0.5\n  \
             waterwindow threshold cell.mrc -o parts.mrc --method mixture --classes 3 --table parts.csv\n  \
             waterwindow threshold cell.mrc -o chromatin.mrc --method chromatin --mask labels.mrc --within 3",
        )
}

fn threshold(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("threshold");
    let params = params_of(op, matches)?;
    array_output(matches, "output")?;
    check_table(matches)?;
    let volume = Data::Volume(read_volume(shell, path(matches, "volume")?)?);
    let inputs = mask_input(shell, matches, Inputs::default().with("volume", volume))?;
    let outcome = shell.execute(op, &inputs, &params)?;
    let mut result = write_outcome(shell, matches, &outcome, "classes by value")?;
    write_table(matches, &outcome, "classes", &mut result)?;
    shell.finish(&result);
    Ok(())
}

fn labels_input(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<Inputs> {
    let labels = read_labels(shell, path(matches, "labels")?)?;
    Ok(Inputs::default().with("labels", Data::Labels(Arc::new(labels))))
}

fn clean_command() -> Command {
    command_of(op("clean"), &[])
        .arg(path_arg("labels", "What is cleaned: classes or objects"))
        .arg(output_arg("LABELS", "The cleaned labels"))
        .arg(objects_option())
        .arg(table_option())
        .after_help(
            "Examples:\n  waterwindow clean labels.mrc -o filled.mrc\n  \
             waterwindow clean labels.mrc -o clean.mrc --operation remove-islands --min-um3 0.001 --classes 5\n  \
             waterwindow clean labels.mrc -o even.mrc --operation smooth --radius 1.5 --overwrite\n  \
             waterwindow clean labels.mrc -o shell.mrc --operation grow --radius-nm 100 --classes 3",
        )
}

fn clean(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("clean");
    let params = params_of(op, matches)?;
    array_output(matches, "output")?;
    check_table(matches)?;
    let outcome =
        shell.execute(op, &ids_input(Inputs::default(), read_ids_argument(shell, matches)?), &params)?;
    let mut result = write_outcome(shell, matches, &outcome, "cleaned")?;
    write_table(matches, &outcome, "changes", &mut result)?;
    shell.finish(&result);
    Ok(())
}

fn interpolate_command() -> Command {
    command_of(op("interpolate"), &[])
        .arg(path_arg("labels", "Painted slices"))
        .arg(output_arg("LABELS", "The painted slices and what lies between them"))
        .arg(path_option("new", "FILE", "Also write the interpolated voxels alone"))
        .after_help(
            "Examples:\n  waterwindow interpolate painted.mrc -o whole.mrc\n  \
             waterwindow interpolate painted.mrc -o whole.mrc --classes 3 --axis z --round-ends --new added.mrc",
        )
}

fn interpolate(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("interpolate");
    let params = params_of(op, matches)?;
    array_output(matches, "output")?;
    let new = matches.get_one::<PathBuf>("new");
    new.map_or(Ok(()), |file| io::check_array_output(file))?;
    let outcome = shell.execute(op, &labels_input(shell, matches)?, &params)?;
    let mut result = write_outcome(shell, matches, &outcome, "interpolated")?;
    if let (Some(file), Some(Data::Labels(labels))) = (new, outcome.get("new voxels")) {
        write_labels(shell, file, labels)?;
        result["new"] = json!(file);
    }
    shell.finish(&result);
    Ok(())
}

fn watershed_command() -> Command {
    command_of(op("watershed"), &[])
        .arg(path_arg("volume", "What is flooded"))
        .arg(output_arg("LABELS", "Classes of the markers, or numbers of the regions"))
        .arg(path_option("markers", "FILE", "Where floods begin: 0 nowhere, k is class k"))
        .arg(mask_option())
        .arg(resample_option())
        .after_help(
            "Examples:\n  waterwindow watershed cell.mrc -o parts.mrc --markers strokes.mrc --scale-nm 50\n  \
             waterwindow watershed cell.mrc -o regions.mrc --depth 0.5 --mask cell_labels.mrc",
        )
}

fn watershed(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("watershed");
    let params = params_of(op, matches)?;
    array_output(matches, "output")?;
    let volume = Data::Volume(read_volume(shell, path(matches, "volume")?)?);
    let mut inputs = mask_input(shell, matches, Inputs::default().with("volume", volume))?;
    if let Some(file) = matches.get_one::<PathBuf>("markers") {
        inputs = inputs.with("markers", Data::Labels(Arc::new(read_labels(shell, file)?)));
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    shell.finish(&write_outcome(shell, matches, &outcome, "flooded")?);
    Ok(())
}

fn split_command() -> Command {
    command_of(op("split"), &[])
        .arg(path_arg("labels", "Classes or objects whose parts touch"))
        .arg(output_arg("INSTANCES", "Id of the object of each voxel, 0 outside, with the class of each"))
        .arg(objects_option())
        .arg(resample_option())
        .arg(path_option("volume", "FILE", "Values, for --method intensity"))
        .arg(table_option())
        .after_help(
            "Examples:\n  waterwindow split labels.mrc -o mitochondria.mrc --class 5 --method shape\n  \
             waterwindow split labels.mrc -o granules.mrc --class 6 --method intensity --volume cell.mrc",
        )
}

fn split(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("split");
    let params = params_of(op, matches)?;
    let target = array_output(matches, "output")?;
    check_table(matches)?;
    let mut inputs = ids_input(Inputs::default(), read_ids_argument(shell, matches)?);
    if let Some(file) = matches.get_one::<PathBuf>("volume") {
        inputs = inputs.with("volume", Data::Volume(read_volume(shell, file)?));
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Regions(map)) = outcome.get("instances") else { anyhow::bail!("no objects were found") };
    let mut result = write_regions(shell, target, map)?;
    write_table(matches, &outcome, "objects", &mut result)?;
    result["shape_zyx"] = json!(map.shape());
    result["objects"] = outcome.details["objects"].clone();
    result["notes"] = json!(outcome.notes);
    shell.finish(&result);
    Ok(())
}

fn surface_command() -> Command {
    command_of(op("surface"), &[])
        .arg(path_arg("volume", "Where the surface moves"))
        .arg(output_arg("LABELS", "Inside and outside of the surface"))
        .arg(path_option("start", "FILE", "Labels that are inside at the start [default: found by value]"))
        .arg(path_option("membranes", "FILE", "A few painted voxels of the membrane that is looked for"))
        .arg(mask_option())
        .arg(resample_option())
        .after_help(
            "Examples:\n  waterwindow surface cell.mrc -o cell_labels.mrc\n  \
             waterwindow surface cell.mrc -o nucleus.mrc --start rough.mrc --class 3 --reach 8 --membranes painted.mrc",
        )
}

fn surface(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("surface");
    let params = params_of(op, matches)?;
    array_output(matches, "output")?;
    let volume = Data::Volume(read_volume(shell, path(matches, "volume")?)?);
    let mut inputs = mask_input(shell, matches, Inputs::default().with("volume", volume))?;
    for slot in ["start", "membranes"] {
        if let Some(file) = matches.get_one::<PathBuf>(slot) {
            inputs = inputs.with(slot, Data::Labels(Arc::new(read_labels(shell, file)?)));
        }
    }
    let outcome = shell.execute(op, &inputs, &params)?;
    shell.finish(&write_outcome(shell, matches, &outcome, "envelope")?);
    Ok(())
}

fn carve_command() -> Command {
    command_of(op("carve"), &[])
        .arg(path_arg("volume", "What is carved"))
        .arg(
            path_option("scribbles", "S", "Strokes of two or more classes: 0 unpainted, k is class k")
                .required(true),
        )
        .arg(output_arg("LABELS", "A painted class for every voxel, 0 only outside the mask"))
        .arg(mask_option())
        .arg(resample_option())
        .after_help("Example:\n  waterwindow carve cell.mrc --scribbles strokes.mrc -o nucleus.mrc")
}

fn carve(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("carve");
    let params = params_of(op, matches)?;
    array_output(matches, "output")?;
    let volume = Data::Volume(read_volume(shell, path(matches, "volume")?)?);
    let scribbles = Data::Labels(Arc::new(read_labels(shell, path(matches, "scribbles")?)?));
    let inputs = Inputs::default().with("volume", volume).with("scribbles", scribbles);
    let outcome = shell.execute(op, &mask_input(shell, matches, inputs)?, &params)?;
    shell.finish(&write_outcome(shell, matches, &outcome, "carved")?);
    Ok(())
}
