//! Pictures without a window: slices and the cell in 3-D.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Arg, ArgMatches, Command, value_parser};
use image::RgbaImage;
use serde_json::json;

use super::Subcommand;
use super::files::{output_arg, path};
use super::options::UsageError;
use super::segment::{read_labels, read_volume};
use super::shell::Shell;
use crate::base::WorldFromVoxel;
use crate::io;
use crate::ops::LabelData;
use crate::render::colormap::ColorMap;
use crate::render::cpu::{self, Sources};
use crate::render::overlay::draw_scale_bar;
use crate::render::scene::{
    ImageLayer, Interpolation, LabelColors, LabelLayer, Plane, SliceLayer, SliceScene, VolumeLabels,
    VolumeMode, VolumeScene, bounds_um,
};
use crate::volume::{Histogram, Volume};

/// The subcommands of this group.
pub(super) fn subcommands() -> Vec<Subcommand> {
    vec![Subcommand { build: command, run }]
}

fn command() -> Command {
    Command::new("render")
        .about("Draw a picture of a volume, with labels on top; works without a GPU")
        .arg(
            Arg::new("files")
                .value_name("FILE")
                .num_args(1..=2)
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("A volume, then labels if wanted"),
        )
        .arg(output_arg("PICTURE.png", "The picture"))
        .arg(
            Arg::new("view")
                .long("view")
                .value_parser(["xy", "xz", "yz", "3d"])
                .default_value("xy")
                .help("Which view"),
        )
        .arg(
            Arg::new("size").long("size").value_name("WxH").default_value("1280x1024").help("Size in pixels"),
        )
        .arg(
            Arg::new("slice")
                .long("slice")
                .value_name("N")
                .value_parser(value_parser!(usize))
                .help("Which slice, from 0 [default: the middle]"),
        )
        .arg(
            Arg::new("window")
                .long("window")
                .value_name("LOW:HIGH")
                .allow_hyphen_values(true)
                .help("Values that are black and white, in the volume's unit [default: by the histogram]"),
        )
        .arg(
            Arg::new("mode")
                .long("mode")
                .value_parser(["composite", "mip", "iso"])
                .default_value("composite")
                .help("How the 3d view is drawn"),
        )
        .arg(
            Arg::new("iso")
                .long("iso")
                .value_name("VALUE")
                .value_parser(value_parser!(f32))
                .help("Value of the isosurface [default: 0.3]"),
        )
        .arg(
            Arg::new("no-scale-bar")
                .long("no-scale-bar")
                .action(clap::ArgAction::SetTrue)
                .help("Leave the scale bar out"),
        )
}

fn pair<T: std::str::FromStr>(text: &str, separator: char) -> Option<[T; 2]> {
    let (a, b) = text.split_once(separator)?;
    Some([a.trim().parse().ok()?, b.trim().parse().ok()?])
}

/// Largest picture, pixels along a side.
const MAX_SIDE: u32 = 16_384;

fn size_px(matches: &ArgMatches) -> anyhow::Result<[u32; 2]> {
    let text = matches.get_one::<String>("size").map_or("", String::as_str);
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

/// Keys of the two sources.
const VOLUME: u64 = 1;
const LABELS: u64 = 2;

/// What is drawn.
struct Content {
    volume: Arc<Volume<f32>>,
    labels: Option<LabelData>,
    sources: Sources,
}

fn read(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<Content> {
    let files: Vec<&PathBuf> = matches.get_many("files").into_iter().flatten().collect();
    let first = files.first().context("no file to draw")?;
    let volume = read_volume(shell, first)?;
    let labels = files.get(1).map(|file| read_labels(shell, file)).transpose()?;
    let mut sources = Sources::default();
    sources.volumes.insert(VOLUME, Arc::clone(&volume));
    if let Some(labels) = &labels {
        sources.labels.insert(LABELS, labels.labels.clone());
    }
    Ok(Content { volume, labels, sources })
}

fn world_of_labels(labels: &LabelData) -> glam::DAffine3 {
    WorldFromVoxel::from_spacing(labels.voxel_um.unwrap_or([1.0; 3]), labels.origin_um).0
}

fn draw_slice(
    shell: &Shell,
    matches: &ArgMatches,
    content: &Content,
    plane: Plane,
    size: [u32; 2],
) -> anyhow::Result<(RgbaImage, f64)> {
    let volume = &content.volume;
    let world = volume.world_from_voxel();
    let mut scene = SliceScene::fitted(plane, bounds_um(world.0, volume.shape()), size);
    let axis = match plane {
        Plane::Xy => 0,
        Plane::Xz => 1,
        Plane::Yz | Plane::Oblique { .. } => 2,
    };
    let n = volume.shape()[axis];
    let slice = matches.get_one::<usize>("slice").copied().unwrap_or(n / 2);
    if slice >= n {
        return Err(
            UsageError(format!("--slice is {slice}, the slices are 0 to {}", n.saturating_sub(1))).into()
        );
    }
    let mut middle = volume.shape().map(|n| (n as f64 - 1.0) / 2.0);
    middle[axis] = slice as f64;
    scene.center_um = world.world_from_zyx(middle);
    let mut image = ImageLayer::new(VOLUME, world.0, window(matches, volume)?);
    image.interpolation = Interpolation::Linear;
    scene.layers.push(SliceLayer::Image(image));
    if let Some(labels) = &content.labels {
        let colors = LabelColors::from_classes(&labels.classes);
        scene.layers.push(SliceLayer::Labels(LabelLayer::new(LABELS, world_of_labels(labels), colors)));
    }
    let picture = shell.with_progress(|progress| cpu::slice(progress, &content.sources, &scene))?;
    Ok((picture, scene.um_per_px))
}

fn draw_volume(
    shell: &Shell,
    matches: &ArgMatches,
    content: &Content,
    size: [u32; 2],
) -> anyhow::Result<(RgbaImage, f64)> {
    let volume = &content.volume;
    let mut scene = VolumeScene::new(VOLUME, volume.world_from_voxel().0, volume.shape(), size);
    scene.mode = match matches.get_one::<String>("mode").map(String::as_str) {
        Some("mip") => VolumeMode::Mip,
        Some("iso") => VolumeMode::Iso,
        _ => VolumeMode::Composite,
    };
    scene.window = window(matches, volume)?;
    scene.color_map = ColorMap::Grey;
    if let Some(value) = matches.get_one::<f32>("iso") {
        scene.iso_value = *value;
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
    let picture = shell.with_progress(|progress| cpu::volume(progress, &content.sources, &scene))?;
    Ok((picture, scene.camera.um_per_px(f64::from(size[1]))))
}

fn run(shell: &Shell, matches: &ArgMatches) -> anyhow::Result<()> {
    let size = size_px(matches)?;
    let file = path(matches, "output")?;
    if !file.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        return Err(UsageError("pictures are written as .png".to_owned()).into());
    }
    io::check_writable(file)?;
    let content = read(shell, matches)?;
    let view = matches.get_one::<String>("view").map_or("xy", String::as_str);
    let (mut picture, um_per_px) = match view {
        "3d" => draw_volume(shell, matches, &content, size)?,
        "xz" => draw_slice(shell, matches, &content, Plane::Xz, size)?,
        "yz" => draw_slice(shell, matches, &content, Plane::Yz, size)?,
        _ => draw_slice(shell, matches, &content, Plane::Xy, size)?,
    };
    let known = content.volume.voxel_um.is_some();
    let bar_um =
        (known && !matches.get_flag("no-scale-bar")).then(|| draw_scale_bar(&mut picture, um_per_px));
    if !known {
        shell.note("The voxel size is unknown, so the picture has no scale bar");
    }
    io::write_picture(file, &picture)?;
    shell.finish(&json!({ "output": file, "size_px": size, "um_per_px": known.then_some(um_per_px), "scale_bar_um": bar_um }));
    Ok(())
}
