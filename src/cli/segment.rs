//! Segmenting: supervoxels, segment, predict.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{ArgMatches, Command};
use ndarray::Array3;
use serde_json::json;

use super::Subcommand;
use super::files::{array_output, output_arg, path, path_arg, path_option, write_array};
use super::options::{command_of, op, params_of};
use super::shell::Shell;
use crate::base::Unit;
use crate::io::{self, LoadedRegions, WriteRequest};
use crate::ops::{self, Data, Inputs, LabelData, Outcome};
use crate::segment::Segmentation;
use crate::volume::{Class, ClassTable, Labels, ObjectTable, RegionMap, Volume};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![
        Subcommand { build: supervoxels_command, run: supervoxels },
        Subcommand { build: segment_command, run: segment },
        Subcommand { build: predict_command, run: predict },
    ]
}

/// Reads a volume.
pub(super) fn read_volume(shell: &Shell, file: &Path) -> anyhow::Result<Arc<Volume<f32>>> {
    let options = shell.read_options(file);
    let loaded = shell.with_progress(|progress| io::read_array_of(file, &options, progress, shell.budget))?;
    shell.note_of(file, &loaded.header.warnings);
    Ok(Arc::new(loaded.into_volume()))
}

/// Reads class ids with their frame and, where the file carries them, their classes.
pub(super) fn read_labels(shell: &Shell, file: &Path) -> anyhow::Result<LabelData> {
    let options = shell.read_options(file);
    let loaded = shell.with_progress(|progress| io::read_labels(file, &options, progress, shell.budget))?;
    Ok(label_data(shell, file, loaded))
}

fn label_data(shell: &Shell, file: &Path, loaded: io::LoadedLabels) -> LabelData {
    let io::LoadedLabels { volume, classes, warnings } = loaded;
    shell.note_of(file, &warnings);
    let labels = Labels::from_dense(&volume.data);
    let classes = classes.unwrap_or_default().with_ids(labels.ids());
    LabelData::on_grid_of(&volume, labels, classes)
}

/// Reads ids of classes or of objects, whichever the file holds; a table of objects makes them those of objects.
pub(super) fn read_ids(shell: &Shell, file: &Path, objects: Option<&Path>) -> anyhow::Result<Data> {
    let table = objects.map(|table| {
        io::read_text(table).map_err(anyhow::Error::from).and_then(|text| {
            ObjectTable::from_csv(&text).map_err(|problem| anyhow::anyhow!("{problem} ({})", table.display()))
        })
    });
    let (table, options) = (table.transpose()?, shell.read_options(file));
    let found =
        shell.with_progress(|progress| io::read_ids(file, &options, table, progress, shell.budget))?;
    Ok(match found {
        io::LoadedIds::Labels(loaded) => Data::Labels(Arc::new(label_data(shell, file, loaded))),
        io::LoadedIds::Regions(LoadedRegions { map, warnings }) => {
            shell.note_of(file, &warnings);
            Data::Regions(Arc::new(map))
        }
    })
}

/// Ids of classes under the slot `labels`, ids of objects under `instances`.
pub(super) fn ids_input(inputs: Inputs, ids: Data) -> Inputs {
    let slot = if matches!(ids, Data::Regions(_)) { "instances" } else { "labels" };
    inputs.with(slot, ids)
}

/// The option --objects.
pub(super) fn objects_option() -> clap::Arg {
    path_option(
        "objects",
        "TABLE.csv",
        "The ids are those of objects, of the classes that this table says, as components --table writes it [default: what the file carries]",
    )
}

/// Reads the argument `labels`, with --objects where the command has it.
pub(super) fn read_ids_argument(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<Data> {
    // Where a switch has the name --objects, the option is --object-table.
    let table = |name: &str| matches.try_get_one::<PathBuf>(name).ok().flatten();
    let objects = table("object-table").or_else(|| table("objects"));
    read_ids(shell, path(matches, "labels")?, objects.map(PathBuf::as_path))
}

/// Reads a class table: this program's JSON, or lines `id,name`.
fn read_classes(file: &Path) -> anyhow::Result<ClassTable> {
    let text = io::read_text(file)?;
    if let Ok(table) = serde_json::from_str::<ClassTable>(&text) {
        return Ok(table);
    }
    let mut table = ClassTable::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let parsed =
            line.split_once(',').and_then(|(id, name)| Some((id.trim().parse::<u16>().ok()?, name.trim())));
        let Some((id, name)) = parsed.filter(|(id, _)| *id != 0) else {
            if number == 0 {
                continue; // a header line
            }
            anyhow::bail!(
                "line {} is not id,name with an id from 1 to 65535 ({})",
                number + 1,
                file.display()
            );
        };
        if let Some(class) = table.proposed(name) {
            table.insert(Class {
                id,
                color: crate::volume::classes::palette_color(usize::from(id) - 1),
                ..class
            });
        }
    }
    Ok(table)
}

/// Writes class ids with frame and classes.
pub(super) fn write_labels(
    shell: &Shell,
    file: &Path,
    data: &LabelData,
) -> anyhow::Result<serde_json::Value> {
    let ids: Array3<u16> = data.labels.to_dense();
    write_array(shell, file, &WriteRequest::labels(&ids, data.voxel_um, data.origin_um, Some(&data.classes)))
}

/// Writes ids of objects with frame and the class of each.
pub(super) fn write_regions(
    shell: &Shell,
    file: &Path,
    map: &RegionMap,
) -> anyhow::Result<serde_json::Value> {
    write_array(shell, file, &WriteRequest::regions(map))
}

/// Writes what an operation gave as an array.
pub(super) fn write_data(shell: &Shell, file: &Path, data: &Data) -> anyhow::Result<serde_json::Value> {
    match data {
        Data::Volume(volume) => write_array(shell, file, &WriteRequest::volume(volume)),
        Data::Labels(labels) => write_labels(shell, file, labels),
        Data::Regions(map) => write_regions(shell, file, map),
        other => anyhow::bail!("a {} is not written as an array", other.kind().words()),
    }
}

/// The option --resample.
pub(super) fn resample_option() -> clap::Arg {
    clap::Arg::new("resample").long("resample").action(clap::ArgAction::SetTrue).help(
        "Bring labels that lie on another grid than the volume onto it, each voxel by the id nearest to its centre [default: they are refused]",
    )
}

pub(super) fn mask_input(shell: &Shell, matches: &ArgMatches, inputs: Inputs) -> anyhow::Result<Inputs> {
    Ok(match matches.get_one::<PathBuf>("mask") {
        Some(file) => inputs.with("mask", Data::Labels(Arc::new(read_labels(shell, file)?))),
        None => inputs,
    })
}

/// The halves of --halves, as inputs.
fn halves_input(shell: &Shell, matches: &ArgMatches, mut inputs: Inputs) -> anyhow::Result<Inputs> {
    let files = matches.get_many::<PathBuf>("halves").into_iter().flatten();
    for (slot, file) in ["even", "odd"].into_iter().zip(files) {
        inputs = inputs.with(slot, Data::Volume(read_volume(shell, file)?));
    }
    Ok(inputs)
}

fn halves_option() -> clap::Arg {
    path_option(
        "halves",
        "FILE",
        "The same volume from half of the views each, as reconstruct --half both wrote them: where they disagree is noise",
    )
    .num_args(2)
    .value_names(["EVEN", "ODD"])
}

pub(super) fn mask_option() -> clap::Arg {
    path_option("mask", "FILE", "Only where this label volume is not 0")
}

fn supervoxels_command() -> Command {
    let op = op("supervoxels");
    command_of(op, &["size_voxels"])
        .arg(path_arg("volume", "What is cut"))
        .arg(output_arg("REGIONS", "Region ids from 1, 0 outside the mask"))
        .arg(path_option(
            "membranes",
            "FILE",
            "A few painted voxels for --method membranes: the lowest class is membrane, the others are not",
        ))
        .arg(mask_option())
        .arg(resample_option())
        .arg(
            clap::Arg::new("size_voxels")
                .long("size")
                .value_name("VOXELS")
                .help("Edge of a region [default: 4.5 voxels]"),
        )
}

fn supervoxels(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("supervoxels");
    let params = params_of(op, matches)?;
    let target = array_output(matches, "output")?;
    let mut inputs =
        Inputs::default().with("volume", Data::Volume(read_volume(shell, path(matches, "volume")?)?));
    if let Some(file) = matches.get_one::<PathBuf>("membranes") {
        inputs = inputs.with("membranes", Data::Labels(Arc::new(read_labels(shell, file)?)));
    }
    let inputs = mask_input(shell, matches, inputs)?;
    let outcome = shell.execute(op, &inputs, &params)?;
    let Some(Data::Regions(regions)) = outcome.get("regions") else { anyhow::bail!("no regions were made") };
    let mut result = write_array(shell, target, &WriteRequest::volume(regions))?;
    result["regions"] = outcome.details["regions"].clone();
    shell.finish(&result);
    Ok(())
}

fn segment_command() -> Command {
    command_of(op("segment"), &[])
        .arg(path_arg("volume", "What is segmented"))
        .arg(
            path_option(
                "scribbles",
                "S",
                "Strokes on a map of the volume's shape: 0 unpainted, k is class k",
            )
            .required(true),
        )
        .arg(output_arg("LABELS", "A painted class for every voxel, 0 only outside the mask"))
        .arg(path_option("classes", "FILE", "Names of the classes: lines id,name, or a class table as JSON"))
        .arg(mask_option())
        .arg(resample_option())
        .arg(halves_option())
        .arg(path_option(
            "probabilities",
            "P",
            "Also write the probability of every class, one file each: P with _classK before the extension",
        ))
        .arg(path_option("uncertainty", "U", "Also write the uncertainty, 0 to 1"))
        .arg(path_option("model-out", "M", "Also keep the classifier for other volumes"))
        .arg(path_option(
            "model",
            "M",
            "Start from the classifier that --model-out wrote for another volume: the strokes are added to what it learnt",
        ))
}

fn segment(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let op = op("segment");
    let params = params_of(op, matches)?;
    check_outputs(matches, &["probabilities"])?;
    matches.get_one::<PathBuf>("model-out").map_or(Ok(()), |file| io::check_writable(file))?;
    let volume = read_volume(shell, path(matches, "volume")?)?;
    let mut scribbles = read_labels(shell, path(matches, "scribbles")?)?;
    if let Some(file) = matches.get_one::<PathBuf>("classes") {
        scribbles.classes = read_classes(file)?.with_ids(scribbles.labels.ids());
    }
    let base = matches.get_one::<PathBuf>("model").map(|file| io::read_model(file)).transpose()?;
    if let Some((base, names)) = &base {
        for class in &base.classes {
            // A class that was painted here keeps the name that it has here.
            if let Some(class) = names.get(*class).filter(|_| scribbles.classes.get(*class).is_none()) {
                scribbles.classes.insert(class.clone());
            }
        }
        scribbles.classes = std::mem::take(&mut scribbles.classes).with_ids(base.classes.iter().copied());
    }
    let scribbles = Arc::new(scribbles);
    let mut inputs = Inputs::default()
        .with("volume", Data::Volume(Arc::clone(&volume)))
        .with("scribbles", Data::Labels(Arc::clone(&scribbles)));
    if let Some((base, _)) = base {
        inputs = inputs.with("classifier", Data::Classifier(Arc::new(base)));
    }
    let inputs = shell.together(op, &halves_input(shell, matches, mask_input(shell, matches, inputs)?)?)?;
    let segmentation = shell.run(|context| {
        context.budget.admit((op.forecast)(&inputs, &op.complete(&params)?)?.bytes)?;
        ops::segment::segmentation(context, &inputs, &params)
    })?;
    if let Some(file) = matches.get_one::<PathBuf>("probabilities") {
        write_probabilities(shell, file, &volume, &segmentation)?;
    }
    let outcome = ops::segment::outcome(&volume, &scribbles, segmentation);
    if let (Some(file), Some(Data::Classifier(model))) =
        (matches.get_one::<PathBuf>("model-out"), outcome.get("classifier"))
    {
        io::write_model(file, model, &scribbles.classes)?;
    }
    write_prediction(shell, matches, &outcome)
}

/// Sees to it, before any work, that the labels, the uncertainty and arrays under other options can be written.
fn check_outputs(matches: &ArgMatches, others: &[&str]) -> anyhow::Result<()> {
    array_output(matches, "output")?;
    for name in ["uncertainty"].iter().chain(others) {
        if let Some(file) = matches.get_one::<PathBuf>(name) {
            io::check_array_output(file)?;
        }
    }
    Ok(())
}

/// Writes labels and, if asked, uncertainty; both commands end here.
fn write_prediction(shell: &Shell, matches: &ArgMatches, outcome: &Outcome) -> anyhow::Result<()> {
    let Some(Data::Labels(labels)) = outcome.get("prediction") else {
        anyhow::bail!("nothing was predicted")
    };
    let mut result = write_labels(shell, path(matches, "output")?, labels)?;
    if let (Some(file), Some(Data::Volume(uncertainty))) =
        (matches.get_one::<PathBuf>("uncertainty"), outcome.get("uncertainty"))
    {
        write_array(shell, file, &WriteRequest::volume(uncertainty))?;
        result["uncertainty"] = json!(file);
    }
    result["details"] = outcome.details.clone();
    shell.finish(&result);
    Ok(())
}

fn write_probabilities(
    shell: &Shell,
    file: &Path,
    volume: &Volume<f32>,
    segmentation: &Segmentation,
) -> anyhow::Result<()> {
    let stem = file.file_stem().and_then(|s| s.to_str()).context("--probabilities needs a file name")?;
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or("mrc");
    for &class in &segmentation.classifier.classes {
        let of_class = segmentation.prediction.probability_volume(&segmentation.cache.regions, class);
        if let Some(probability) = of_class {
            let probability = volume.with_data(probability, Unit::Arbitrary);
            let name = file.with_file_name(format!("{stem}_class{class}.{extension}"));
            write_array(shell, &name, &WriteRequest::volume(&probability))?;
        }
    }
    Ok(())
}

fn predict_command() -> Command {
    command_of(op("predict"), &[])
        .arg(path_arg("volume", "What is labelled"))
        .arg(path_option("model", "M", "The classifier that segment --model-out wrote").required(true))
        .arg(output_arg("LABELS", "A class for every voxel"))
        .arg(mask_option())
        .arg(resample_option())
        .arg(halves_option())
        .arg(path_option("uncertainty", "U", "Also write the uncertainty, 0 to 1"))
}

fn predict(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    check_outputs(matches, &[])?;
    let (classifier, classes) = io::read_model(path(matches, "model")?)?;
    let inputs = Inputs::default()
        .with("volume", Data::Volume(read_volume(shell, path(matches, "volume")?)?))
        .with("classifier", Data::Classifier(Arc::new(classifier)));
    let inputs = halves_input(shell, matches, mask_input(shell, matches, inputs)?)?;
    let mut outcome = shell.execute(op("predict"), &inputs, &json!({}))?;
    for (_, data) in &mut outcome.data {
        if let Data::Labels(labels) = data {
            let named =
                LabelData { classes: classes.clone().with_ids(labels.labels.ids()), ..(**labels).clone() };
            *labels = Arc::new(named);
        }
    }
    write_prediction(shell, matches, &outcome)
}
