//! Pictures and films without a window: slices, montages and the cell in 3-D.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use image::RgbaImage;
use ndarray::Array3;
use serde_json::{Value, json};

use super::Subcommand;
use super::files::{output_arg, path};
use super::options::UsageError;
use super::render_surfaces::{self, Surfaces};
use super::segment::{objects_option, read_ids, read_volume};
use super::shell::{Shell, WORTH_SAYING_SECS, duration_text};
use crate::base::{Progress, Unit, WorldFromVoxel};
use crate::gpu::{DeviceChoice, Gpu};
use crate::io::{self, FilmKind, IoError};
use crate::measure::readout::{Laid, value_text};
use crate::measure::ruler::{Placed, RulerKind};
use crate::ops::grid::{self, Fit, Grid};
use crate::ops::{Data, LabelData};
use crate::render::colormap::ColorMap;
use crate::render::cpu::Sources;
use crate::render::figure::{
    self, Artist, Backdrop, DrawError, Extras, FigureRuler, Ink, Mark, RulerShape, Scene,
};
use crate::render::film::{Film, Motion, keyframes_of};
use crate::render::scene::{
    ImageLayer, Interpolation, LabelColors, LabelLayer, Plane, SliceLayer, SliceScene, VolumeLabels,
    VolumeMode, VolumeScene, bounds_um,
};
use crate::render::surfaces::SurfaceLayer;
use crate::render::transfer::TransferPreset;
use crate::volume::{BlockCache, ClassTable, Histogram, Labels, Pyramid, Volume};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: command, run }]
}

fn command() -> Command {
    let command = Command::new("render")
        .about("Draw a picture or a film of a volume, with labels on top; works without a GPU")
        .arg(
            Arg::new("files")
                .value_name("FILE")
                .num_args(1..=2)
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("A volume, then labels if wanted; or labels alone"),
        )
        .arg(output_arg(
            "PICTURE",
            "The picture (.png, .svg) or film (.mp4, .gif, a folder of PNG files without extension)",
        ))
        .arg(option("view", "VIEW", "Which view").value_parser(["xy", "xz", "yz", "3d"]).default_value("xy"))
        .arg(
            option(
                "size",
                "WxH",
                "Size in pixels; a film without a graphics card is 480x384 where this is not given",
            )
            .default_value("1280x1024"),
        )
        .arg(
            option("slice", "N", "Which slice, from 0 [default: the middle]")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            option(
                "window",
                "LOW:HIGH",
                "Values that are black and white, in the volume's unit [default: by the histogram]",
            )
            .allow_hyphen_values(true),
        )
        .arg(
            option("mode", "MODE", "How the 3d view is drawn")
                .value_parser(["composite", "mip", "iso", "minip", "mean", "labels", "surfaces"])
                .default_value("composite"),
        )
        .arg(objects_option())
        .arg(
            option("iso", "VALUE", "Value of the isosurface [default: 0.3]").value_parser(value_parser!(f32)),
        )
        .arg(
            option("colors", "MAP", "Colours of slices and projections")
                .value_parser(["grey", "grey-inverted", "viridis", "magma", "cividis", "batlow"])
                .default_value("grey"),
        );
    command.args(figure_args()).args(film_args()).args(render_surfaces::args())
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

fn figure_args() -> Vec<Arg> {
    let slices = |name, help| option(name, "N", help).value_parser(value_parser!(usize)).requires("montage");
    vec![
        switch(
            "scale-bar",
            "With a scale bar, as it is without this option; it fails where the voxel size is unknown",
        )
        .conflicts_with("no-scale-bar"),
        switch("no-scale-bar", "Leave the scale bar out"),
        switch("color-bar", "With a colour bar"),
        option("title", "TEXT", "A title at the upper left"),
        option(
            "annotations",
            "FILE.csv",
            "With the distances, angles, areas and profiles of a file, as the window saves them",
        )
        .value_parser(value_parser!(PathBuf)),
        switch("legend", "With names and colours of the classes that are seen"),
        option("ink", "INK", "Lettering light, dark, or by what lies beneath")
            .value_parser(["auto", "white", "black"])
            .default_value("auto"),
        option("background", "COLOR", "What lies behind the data")
            .value_parser(["black", "white", "clear"])
            .default_value("black"),
        switch("transparent", "Nothing behind the data, as --background clear"),
        option("montage", "RxC", "Slices side by side: rows and columns"),
        slices("first", "First slice of the montage, from 0 [default: 0]"),
        slices("last", "Last slice of the montage [default: the last one]"),
        slices("count", "How many slices at most [default: as many as there are places]"),
        slices("step", "Slices from one tile to the next [default: evenly spread]"),
    ]
}

fn film_args() -> Vec<Arg> {
    vec![
        option("turntable", "SECONDS", "A film: the cell turns about its upright axis")
            .value_parser(value_parser!(f64))
            .conflicts_with_all(["keyframes", "montage"]),
        option("turns", "N", "Turns of the turntable, below 0 to the left")
            .value_parser(value_parser!(f64))
            .allow_hyphen_values(true)
            .default_value("1"),
        option("keyframes", "FILE.json", "A film from keyframe to keyframe, see docs/command-line.md")
            .value_parser(value_parser!(PathBuf))
            .conflicts_with("montage"),
        option("fps", "N", "Frames per second of a film; 12 without a graphics card where this is not given")
            .value_parser(value_parser!(f64))
            .default_value("25"),
    ]
}

fn pair<T: std::str::FromStr>(text: &str, separator: char) -> Option<[T; 2]> {
    let (a, b) = text.split_once(separator)?;
    Some([a.trim().parse().ok()?, b.trim().parse().ok()?])
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

/// Largest picture, pixels along a side.
const MAX_SIDE: u32 = 16_384;
/// Most tiles of a montage along a side.
const MAX_TILES: u32 = 64;

fn size_px(matches: &ArgMatches) -> anyhow::Result<[u32; 2]> {
    let text = text(matches, "size");
    pair(text, 'x').filter(|size: &[u32; 2]| size.iter().all(|n| (1..=MAX_SIDE).contains(n))).ok_or_else(
        || {
            UsageError(format!("--size is {text}, it must be like 1280x1024, each side up to {MAX_SIDE}"))
                .into()
        },
    )
}

/// The values given, or the 0.5 % and 99.5 % quantiles.
fn window(matches: &ArgMatches, volume: &Volume<f32>) -> anyhow::Result<[f32; 2]> {
    if let Some(text) = matches.get_one::<String>("window") {
        return pair(text, ':').filter(|w: &[f32; 2]| w[0] < w[1]).ok_or_else(|| {
            UsageError(format!("--window is {text}, it must be LOW:HIGH with LOW below HIGH")).into()
        });
    }
    let finite = || volume.values().iter().copied().filter(|v| v.is_finite());
    let (min, max) = (finite().fold(f32::INFINITY, f32::min), finite().fold(f32::NEG_INFINITY, f32::max));
    anyhow::ensure!(min <= max, "no value of the volume is finite, so there is nothing to draw");
    let histogram = Histogram::of(volume.values(), min, max, 4096);
    let (low, high) = (histogram.quantile(0.005), histogram.quantile(0.995));
    Ok(if low < high { [low, high] } else { [min, min + 1.0] })
}

/// Keys of the sources.
const VOLUME: u64 = 1;
const LABELS: u64 = 2;
const SURFACES: u64 = 3;

/// What is drawn.
struct Content {
    volume: Arc<Volume<f32>>,
    labels: Option<LabelData>,
    sources: Sources,
}

fn read(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<Content> {
    let files: Vec<&PathBuf> = matches.get_many("files").into_iter().flatten().collect();
    let first = files.first().context("no file to draw")?;
    let mut sources = Sources::default();
    let kind = io::read_header_of(first, &shell.read_options(first))?.kind;
    let (volume, labels) = if kind == io::Kind::Labels && files.len() == 1 {
        let labels = drawn_ids(shell, first, matches)?;
        (Arc::new(nothing_behind(&labels)), Some(labels))
    } else {
        let volume = match read_by_levels(shell, first)? {
            Some((volume, pyramid)) => {
                sources.pyramids.insert(VOLUME, pyramid);
                volume
            }
            None => read_volume(shell, first)?,
        };
        let labels = files.get(1).map(|file| drawn_ids(shell, file, matches)).transpose()?;
        let labels = labels.map(|labels| placed(shell, &volume, labels, sources.pyramids.is_empty()));
        (volume, labels.transpose()?)
    };
    sources.volumes.insert(VOLUME, Arc::clone(&volume));
    if let Some(labels) = &labels {
        sources.labels.insert(LABELS, labels.labels.clone());
    }
    Ok(Content { volume, labels, sources })
}

/// Labels as they are drawn: objects by their rank, each with a colour of its own.
fn drawn_ids(shell: &Shell, file: &Path, matches: &ArgMatches) -> anyhow::Result<LabelData> {
    let objects = matches.get_one::<PathBuf>("objects").map(PathBuf::as_path);
    match read_ids(shell, file, objects)? {
        Data::Labels(labels) => Ok(Arc::unwrap_or_clone(labels)),
        Data::Regions(map) => {
            let (ranks, n) = map.ranks_u16();
            if n > usize::from(u16::MAX) {
                shell.note(&format!("{n} objects are drawn in {} colours", u16::MAX));
            }
            Ok(LabelData {
                labels: Labels::from_dense(&ranks),
                voxel_um: map.voxel_um,
                ratios: map.ratios,
                origin_um: map.origin_um,
                classes: ClassTable::default(),
            })
        }
        other => anyhow::bail!("a {} is not drawn ({})", other.kind().words(), file.display()),
    }
}

/// What labels are drawn over where there is no volume: ids are no values, so that they are never drawn as such.
fn nothing_behind(labels: &LabelData) -> Volume<f32> {
    let volume = Volume::new(Array3::zeros(labels.labels.shape()), labels.voxel_um, Unit::Label);
    Volume { origin_um: labels.origin_um, ..volume }
}

/// Labels where they are to be drawn over a volume. Each is drawn in its own place in the world; where that differs, or is
/// not known of one of both, it is said.
fn placed(
    shell: &Shell,
    volume: &Volume<f32>,
    labels: LabelData,
    is_whole: bool,
) -> anyhow::Result<LabelData> {
    let (own, grid) = (Grid::of_labels(&labels), Grid::of_volume(volume));
    match grid.fit(&own) {
        // A coarse level of a pyramid has other voxels than the labels have.
        _ if !is_whole => Ok(labels),
        Fit::Same => Ok(labels),
        Fit::ByVoxels => {
            shell.note(&grid::by_voxels("labels", &own, "volume", &grid));
            Ok(LabelData { voxel_um: grid.voxel_um, origin_um: grid.origin_um, ..labels })
        }
        Fit::Other if own.voxel_um.is_some() == grid.voxel_um.is_some() => {
            shell.note(&format!(
                "the labels and the volume lie on different grids, each is drawn in its own place: {own}, and {grid}"
            ));
            Ok(labels)
        }
        Fit::Other => anyhow::bail!(
            "the labels and the volume have different shapes and one does not know its voxel size: {own}, and {grid}; give both a voxel size"
        ),
    }
}

/// A volume that is too large to be read whole: the level that is held, and the pyramid; `None` for any other.
fn read_by_levels(shell: &Shell, file: &Path) -> anyhow::Result<Option<(Arc<Volume<f32>>, Arc<Pyramid>)>> {
    let options = shell.read_options(file);
    let header = io::read_header_of(file, &options)?;
    if !io::is_beyond(&header, shell.budget) {
        return Ok(None);
    }
    BlockCache::of_process().set_budget(shell.budget.bytes / 4);
    let Some(levels) = io::open_levels(file, &options, &header, None, shell.budget)? else { return Ok(None) };
    shell.note_of(file, &header.warnings);
    let working = levels.pyramid.working();
    let volume = shell.with_progress(|progress| levels.read(file, working, None, progress, shell.budget))?;
    Ok((working > 0).then(|| (Arc::new(volume), levels.into())))
}

fn world_of_labels(labels: &LabelData) -> glam::DAffine3 {
    WorldFromVoxel::from_spacing(labels.voxel_um_or_one(), labels.origin_um).0
}

fn color_map(matches: &ArgMatches) -> ColorMap {
    match text(matches, "colors") {
        "grey-inverted" => ColorMap::GreyInverted,
        "viridis" => ColorMap::Viridis,
        "magma" => ColorMap::Magma,
        "cividis" => ColorMap::Cividis,
        "batlow" => ColorMap::Batlow,
        _ => ColorMap::Grey,
    }
}

/// The plane of a slice view and its axis in z, y, x; `None` for the volume.
fn plane(matches: &ArgMatches) -> Option<(Plane, usize)> {
    match text(matches, "view") {
        "3d" => None,
        "xz" => Some((Plane::Xz, 1)),
        "yz" => Some((Plane::Yz, 2)),
        _ => Some((Plane::Xy, 0)),
    }
}

/// A slice that exists.
fn checked_slice(name: &str, slice: usize, n: usize) -> anyhow::Result<usize> {
    if slice < n {
        return Ok(slice);
    }
    Err(UsageError(format!("--{name} is {slice}, the slices are 0 to {}", n.saturating_sub(1))).into())
}

fn slice_scene(
    matches: &ArgMatches,
    content: &Content,
    (plane, axis): (Plane, usize),
    size: [u32; 2],
) -> anyhow::Result<SliceScene> {
    let volume = &content.volume;
    let world = volume.world_from_voxel();
    let mut scene = SliceScene::fitted(plane, bounds_um(world.0, volume.shape()), size);
    let n = volume.shape()[axis];
    let slice = checked_slice("slice", matches.get_one::<usize>("slice").copied().unwrap_or(n / 2), n)?;
    let mut middle = volume.shape().map(|n| (n as f64 - 1.0) / 2.0);
    middle[axis] = slice as f64;
    scene.center_um = world.world_from_zyx(middle);
    let mut image = ImageLayer::new(VOLUME, world.0, window(matches, volume)?);
    image.interpolation = Interpolation::Linear;
    image.color_map = color_map(matches);
    scene.layers.push(SliceLayer::Image(image));
    if let Some(labels) = &content.labels {
        let colors = LabelColors::from_classes(&labels.classes);
        scene.layers.push(SliceLayer::Labels(LabelLayer::new(LABELS, world_of_labels(labels), colors)));
    }
    Ok(scene)
}

fn volume_scene(matches: &ArgMatches, content: &Content, size: [u32; 2]) -> anyhow::Result<VolumeScene> {
    let volume = &content.volume;
    let mut scene = VolumeScene::new(VOLUME, volume.world_from_voxel().0, volume.shape(), size);
    // Labels alone have no values to look through.
    let is_alone = volume.unit == Unit::Label && content.labels.is_some();
    let is_asked = matches.value_source("mode") == Some(ValueSource::CommandLine);
    scene.mode = match text(matches, "mode") {
        "mip" => VolumeMode::Mip,
        "minip" => VolumeMode::MinIp,
        "mean" => VolumeMode::Mean,
        "iso" => VolumeMode::Iso,
        _ if is_alone && !is_asked => VolumeMode::Labels,
        "labels" if content.labels.is_none() => {
            return Err(UsageError("--mode labels draws labels: name a label file too".to_owned()).into());
        }
        "surfaces" if !matches.get_flag("surfaces") => {
            return Err(UsageError("--mode surfaces shows surfaces: add --surfaces".to_owned()).into());
        }
        "surfaces" => VolumeMode::Surfaces,
        "labels" => VolumeMode::Labels,
        _ => VolumeMode::Composite,
    };
    scene.window = window(matches, volume)?;
    scene.color_map = color_map(matches);
    scene.transfer = TransferPreset::default().for_volume(volume.unit, scene.window, scene.bounds);
    if let Some(value) = matches.get_one::<f32>("iso") {
        scene.iso_value = *value;
    } else if volume.unit != Unit::PerUm {
        scene.iso_value = 0.5 * (scene.window[0] + scene.window[1]);
    }
    scene.camera.orbit_turntable(glam::DVec2::new(0.5, 0.35));
    if let Some(labels) = &content.labels {
        scene.labels = Some(VolumeLabels {
            labels: LABELS,
            world_from_voxel: world_of_labels(labels),
            colors: LabelColors::from_classes(&labels.classes),
            strength: 0.8,
        });
    }
    Ok(scene)
}

/// With surfaces among or instead of what the volume shows.
fn with_surfaces(scene: VolumeScene, surfaces: Option<&Surfaces>) -> VolumeScene {
    let layer = surfaces.map(|known| SurfaceLayer { surfaces: SURFACES, ..known.layer.clone() });
    let mut scene = VolumeScene { surfaces: layer, ..scene };
    scene.tint_less();
    scene
}

/// What stands beside the picture.
fn extras(shell: &Shell, matches: &ArgMatches, content: &Content) -> anyhow::Result<Extras> {
    let known = content.volume.voxel_um.is_some();
    if !known {
        anyhow::ensure!(
            !matches.get_flag("scale-bar"),
            "the voxel size is unknown, so there can be no scale bar; give the volume a voxel size first"
        );
        shell.note("The voxel size is unknown, so the picture has no scale bar");
    }
    let legend = match &content.labels {
        Some(labels) if matches.get_flag("legend") => {
            let present = labels.labels.ids();
            let seen = labels.classes.classes.iter().filter(|c| c.visible && present.contains(&c.id));
            seen.map(|class| (class.name.clone(), class.color)).collect()
        }
        _ => Vec::new(),
    };
    let unit = content.volume.unit;
    let name = match unit {
        Unit::PerUm | Unit::PerVoxel => "LAC",
        Unit::Absorbance => "Absorbance",
        Unit::Counts => "Counts",
        Unit::Transmission => "Transmission",
        _ => "Value",
    };
    Ok(Extras {
        scale_bar: known && !matches.get_flag("no-scale-bar"),
        color_bar: matches.get_flag("color-bar"),
        value_label: match unit {
            Unit::PerUm | Unit::PerVoxel => format!("{name} ({})", unit.shown()),
            _ => name.to_owned(),
        },
        title: matches.get_one::<String>("title").cloned(),
        legend,
        rulers: rulers(matches, content)?,
        ink: match text(matches, "ink") {
            "white" => Ink::White,
            "black" => Ink::Black,
            _ => Ink::Auto,
        },
    })
}

/// The rulers of a file, measured in the volume.
fn rulers(matches: &ArgMatches, content: &Content) -> anyhow::Result<Vec<FigureRuler>> {
    let Some(file) = matches.get_one::<PathBuf>("annotations") else { return Ok(Vec::new()) };
    let volume = &content.volume;
    let world_from_voxel = volume.world_from_voxel().0;
    let unit = if volume.voxel_um.is_some() { "µm" } else { "px" };
    let drawn = |row: io::RulerRow| {
        let laid = Laid { kind: row.kind, points: &row.points, frame: row.frame, width_px: row.width_px };
        let measured = laid.measure(Some(Placed { volume, world_from_voxel }));
        FigureRuler {
            shape: match row.kind {
                RulerKind::Distance => RulerShape::Distance,
                RulerKind::Angle => RulerShape::Angle,
                RulerKind::Area => RulerShape::Area,
                RulerKind::Profile => RulerShape::Profile(laid.half_band(world_from_voxel)),
            },
            label: value_text(row.kind, &measured, unit, volume.unit.shown()),
            points_um: row.points,
        }
    };
    Ok(io::read_rulers(file)?.into_iter().map(drawn).collect())
}

/// A device to draw on: for pictures where it is asked for, for films also where a graphics card is there.
fn device(shell: &Shell, is_film: bool) -> Option<Gpu> {
    match shell.device() {
        DeviceChoice::Cpu => None,
        DeviceChoice::Auto if !is_film => None,
        DeviceChoice::Auto => Gpu::to_compute_on(DeviceChoice::Auto).ok().flatten().cloned(),
        DeviceChoice::Gpu => match Gpu::headless(DeviceChoice::Gpu) {
            Ok(gpu) => Some(gpu),
            Err(error) => {
                shell.note(&format!("Drawn on the processor: {error}"));
                None
            }
        },
    }
}

/// How the film moves; `None` for a picture.
fn motion(matches: &ArgMatches) -> anyhow::Result<Option<Motion>> {
    if let Some(seconds) = matches.get_one::<f64>("turntable") {
        if plane(matches).is_some() {
            let text = "--turntable turns the volume: add --view 3d, or move slices by --keyframes";
            return Err(UsageError(text.to_owned()).into());
        }
        let turns = matches.get_one::<f64>("turns").copied().unwrap_or(1.0);
        return Ok(Some(Motion::Turntable { seconds: *seconds, turns }));
    }
    let Some(file) = matches.get_one::<PathBuf>("keyframes") else { return Ok(None) };
    let keyframes = keyframes_of(&io::read_text(file)?).with_context(|| file.display().to_string())?;
    Ok(Some(Motion::Keyframes(keyframes)))
}

/// Refuses an output that does not suit what is drawn, before anything is read.
fn check_output(file: &Path, matches: &ArgMatches, is_film: bool) -> anyhow::Result<()> {
    let has = |wanted: &[&str]| {
        file.extension().is_some_and(|e| wanted.iter().any(|ending| e.eq_ignore_ascii_case(ending)))
    };
    let problem = if is_film {
        match FilmKind::of(file) {
            None => Some("films are written as .mp4, as .gif or into a folder without extension".to_owned()),
            Some(kind) if kind != FilmKind::Pngs && backdrop(matches) == Backdrop::Clear => {
                Some("films without a background are written into a folder of PNG files".to_owned())
            }
            Some(_) => None,
        }
    } else if has(&["mp4", "gif"]) {
        Some("a film needs --turntable SECONDS or --keyframes FILE.json".to_owned())
    } else if has(&["png", "svg"]) {
        None
    } else {
        Some("pictures are written as .png or .svg".to_owned())
    };
    match problem {
        Some(problem) => Err(UsageError(problem).into()),
        None => Ok(io::check_writable(file)?),
    }
}

/// What lies behind the data.
fn backdrop(matches: &ArgMatches) -> Backdrop {
    match matches.get_one::<String>("background").map(String::as_str) {
        _ if matches.get_flag("transparent") => Backdrop::Clear,
        Some("white") => Backdrop::White,
        Some("clear") => Backdrop::Clear,
        _ => Backdrop::Black,
    }
}

/// Size and frames per second of a film without a graphics card, where the user said none: 8 s are drawn in about a minute.
const WITHOUT_CARD: ([u32; 2], f64) = ([480, 384], 12.0);

/// Size and frames per second.
fn form(shell: &Shell, matches: &ArgMatches, is_slow_film: bool) -> anyhow::Result<([u32; 2], f64)> {
    let (size, fps) = (size_px(matches)?, matches.get_one::<f64>("fps").copied().unwrap_or(25.0));
    let given = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    if !is_slow_film || (given("size") && given("fps")) {
        return Ok((size, fps));
    }
    let ([w, h], slow_fps) = WITHOUT_CARD;
    let (size, fps) = (if given("size") { size } else { [w, h] }, if given("fps") { fps } else { slow_fps });
    shell.note(&format!(
        "No graphics card draws this film, so it has {} × {} px and {fps} frames a second; --size and --fps set others",
        size[0], size[1]
    ));
    Ok((size, fps))
}

fn run(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    size_px(matches)?;
    let file = path(matches, "output")?;
    let motion = motion(matches)?;
    check_output(file, matches, motion.is_some())?;
    let gpu = device(shell, motion.is_some());
    let is_slow_film = motion.is_some() && gpu.as_ref().is_none_or(Gpu::is_software);
    let (size, fps) = form(shell, matches, is_slow_film)?;
    let content = read(shell, matches)?;
    let extras = extras(shell, matches, &content)?;
    let surfaces = render_surfaces::surfaces(shell, matches, &content.volume, content.labels.as_ref())?;
    let mut sources = content.sources.clone();
    sources.surfaces.extend(surfaces.as_ref().map(|surfaces| (SURFACES, Arc::clone(&surfaces.set))));
    let mut artist = Artist::new(sources, gpu);
    if let Some(pyramid) = content.sources.pyramids.get(&VOLUME)
        && !artist.has_device()
    {
        shell.note(&format!(
            "drawn at 1/{} of the resolution, the level that fits into memory; a graphics device (--device gpu) reads the voxels \
             that the picture needs",
            pyramid.coarseness(pyramid.working())
        ));
    }
    let mut scene = match plane(matches) {
        None => Scene::Volume(with_surfaces(volume_scene(matches, &content, size)?, surfaces.as_ref())),
        Some(plane) => Scene::Slice(slice_scene(matches, &content, plane, size)?),
    };
    scene.set_backdrop(backdrop(matches));
    let mut details = match motion {
        Some(motion) => film(shell, file, &mut artist, &scene, (motion, fps), &extras)?,
        None if matches.contains_id("montage") => {
            montage(shell, matches, file, &mut artist, &content, &scene, &extras)?
        }
        None => {
            let (picture, marks) =
                shell.with_progress(|progress| figure::figure(progress, &mut artist, &scene, &extras))?;
            write_figure(file, picture, &marks, &extras)?;
            let known = content.volume.voxel_um.is_some();
            json!({ "size_px": size, "um_per_px": known.then(|| scene.um_per_px()), "scale_bar_um": extras.scale_bar_um(&scene) })
        }
    };
    let mut result = json!({ "output": file });
    if let Some(surfaces) = &surfaces {
        result["surfaces"] = surfaces.details.clone();
    }
    if let (Some(result), Some(details)) = (result.as_object_mut(), details.as_object_mut()) {
        result.append(details);
    }
    shell.finish(&result);
    Ok(())
}

fn write_figure(file: &Path, mut picture: RgbaImage, marks: &[Mark], extras: &Extras) -> anyhow::Result<()> {
    if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("svg")) {
        let title = extras.title.as_deref().unwrap_or("Waterwindow");
        let text = figure::svg(&picture, marks, title).map_err(anyhow::Error::msg)?;
        io::write_text(file, &text)?;
    } else {
        figure::paint(&mut picture, marks);
        io::write_picture(file, &picture)?;
    }
    Ok(())
}

fn film(
    shell: &Shell,
    file: &Path,
    artist: &mut Artist,
    scene: &Scene,
    (motion, fps): (Motion, f64),
    extras: &Extras,
) -> anyhow::Result<Value> {
    let film = Film::new(scene.clone(), motion, fps).map_err(|error| UsageError(error.to_string()))?;
    let size = scene.size_px();
    if let Some(kind) = FilmKind::of(file) {
        kind.check(size, fps).map_err(UsageError)?;
    }
    let n = film.n_frames();
    let seconds = shell.with_progress(|progress| secs_per_frame(progress, artist, &film))? * n as f64;
    if seconds >= WORTH_SAYING_SECS {
        let by = if artist.has_device() { "graphics device" } else { "processor" };
        let [w, h] = size;
        let time = duration_text(seconds);
        shell.say(&format!("Drawing {n} frames of {w} × {h} px on the {by} will take about {time}"));
    }
    shell.with_progress(|progress| write_film(progress, file, artist, &film, extras))?;
    Ok(json!({ "size_px": size, "frames": n, "fps": fps, "seconds": n as f64 / fps }))
}

/// Share of the sides at which a frame is drawn to tell how long all of them will take.
const TRIED: u32 = 4;

/// How long a frame takes, from small ones of the first and of the middle of the film.
fn secs_per_frame(progress: &Progress, artist: &mut Artist, film: &Film) -> anyhow::Result<f64> {
    let size = film.scene().size_px();
    let small = size.map(|n| (n / TRIED).max(1));
    let times_larger = f64::from(size[0]) * f64::from(size[1]) / (f64::from(small[0]) * f64::from(small[1]));
    progress.phase("Forecasting", 2);
    let mut secs = 0.0;
    for i in [0, film.n_frames() / 2] {
        let scene = film.frame(i).main().clone().resized(small);
        let started = Instant::now();
        artist.draw(&progress.part(), &scene)?;
        secs += 0.5 * started.elapsed().as_secs_f64();
        progress.advance(1);
    }
    Ok(secs * times_larger)
}

/// Draws and writes a film frame by frame.
fn write_film(
    progress: &Progress,
    file: &Path,
    artist: &mut Artist,
    film: &Film,
    extras: &Extras,
) -> Result<(), IoError> {
    progress.phase("Drawing frames", film.n_frames() as u64);
    io::write_film(file, film.scene().size_px(), film.fps(), film.n_frames(), |i| {
        let picture = figure::film_frame(&progress.part(), artist, film, i, extras);
        progress.advance(1);
        picture.map_err(|error| match error {
            DrawError::Cancelled(cancelled) => cancelled.into(),
            other @ DrawError::Device(_) => {
                IoError::Content { path: file.to_owned(), problem: other.to_string() }
            }
        })
    })
}

fn montage(
    shell: &Shell,
    matches: &ArgMatches,
    file: &Path,
    artist: &mut Artist,
    content: &Content,
    scene: &Scene,
    extras: &Extras,
) -> anyhow::Result<Value> {
    let volume = &content.volume;
    let slices = figure::Slices {
        world_from_voxel: volume.world_from_voxel().0,
        shape: volume.shape(),
        known: volume.voxel_um.is_some(),
    };
    let wrong = || UsageError("--montage shows slices: choose --view xy, xz or yz".to_owned());
    let Scene::Slice(scene) = scene else { return Err(wrong().into()) };
    let text = text(matches, "montage");
    let rows_cols = pair::<u32>(text, 'x').filter(|n| n.iter().all(|n| (1..=MAX_TILES).contains(n)));
    let rows_cols = rows_cols.ok_or_else(|| {
        UsageError(format!("--montage is {text}, it must be like 3x4, each up to {MAX_TILES}"))
    })?;
    let mut size = scene.size_px;
    if matches.value_source("size") != Some(ValueSource::CommandLine) {
        size[1] = slices.suiting_height(size[0], scene.plane, rows_cols);
    }
    let n = slices.count(scene.plane);
    let number = |name: &str| matches.get_one::<usize>(name).copied();
    let first = checked_slice("first", number("first").unwrap_or(0), n)?;
    let last = checked_slice("last", number("last").unwrap_or(n.saturating_sub(1)), n)?;
    if last < first {
        return Err(UsageError(format!("--last is {last}, it must not lie before --first {first}")).into());
    }
    let step = number("step");
    if step == Some(0) {
        return Err(UsageError("--step is 0, it must be 1 or more".to_owned()).into());
    }
    let most = number("count").unwrap_or(usize::MAX);
    if most == 0 {
        return Err(UsageError("--count is 0, it must be 1 or more".to_owned()).into());
    }
    let choice = figure::Choice { rows_cols, most, range: [first, last], step };
    let made = slices.montage(scene, &choice, size).ok_or_else(wrong)?;
    let (picture, marks) =
        shell.with_progress(|progress| figure::montage(progress, artist, &made, extras))?;
    write_figure(file, picture, &marks, extras)?;
    let known = slices.known;
    let tiles: Vec<Value> = made
        .slices
        .iter()
        .zip(&made.places)
        .map(|(slice, (position, _))| json!({ "slice": slice, "position_um": known.then_some(position) }))
        .collect();
    Ok(json!({ "size_px": made.size, "slices": tiles }))
}
