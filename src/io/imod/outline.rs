//! Labels as closed contours of a model of IMOD: the edges of their voxels, section by section.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use ndarray::ArrayView2;

use super::pieces::MAGIC;
use crate::base::Progress;
use crate::io::error::IoError;
use crate::io::format::WriteRequest;
use crate::io::walk::{Values, for_each_view};
use crate::volume::any::Voxel;
use crate::volume::classes::palette_color;
use crate::with_array;

/// Largest id: every one below it has an object, so that ids are kept.
const MAX_OBJECTS: u16 = 5000;
/// Z starts at -0.5; not written by 3dmod.
const MODEL_FLAGS: u32 = 1 << 10 | 1 << 11;
const A_PER_UM: f64 = 1e4;

/// The contours of one object, as bytes of their pieces.
#[derive(Default)]
struct Drawn {
    n_contours: i32,
    bytes: Vec<u8>,
}

/// Writes labels as a model; returns what it cannot hold.
pub(super) fn write(
    path: &Path,
    values: Values<'_>,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let shape = values.shape();
    let mut objects: BTreeMap<u16, Drawn> = BTreeMap::new();
    let mut draw = |at: usize, planes: crate::io::ArrayRef<'_>| -> Result<(), IoError> {
        let array = planes.to_owned_array();
        for (n, z) in (at..at + array.shape()[0]).enumerate() {
            let ids = with_array!(&array, array => array.index_axis(ndarray::Axis(0), n).mapv(Voxel::to_f64));
            trace(&ids.view(), z, &mut objects).map_err(|problem| IoError::content(path, problem))?;
        }
        Ok(())
    };
    match values {
        Values::Held(array) => {
            progress.phase("Drawing contours", shape[0] as u64);
            for z in 0..shape[0] {
                progress.check()?;
                draw(z, array.planes(z..z + 1))?;
                progress.advance(1);
            }
        }
        Values::Read(source) => for_each_view(source, progress, draw)?,
    }
    let mut file = std::fs::File::create(path).map_err(|e| IoError::system("create", path, e))?;
    let bytes = encode(shape, request, &objects)
        .ok_or_else(|| IoError::content(path, "more voxels along a side than a model can count"))?;
    file.write_all(&bytes).map_err(|e| IoError::system("write", path, e))?;
    Ok(losses(request))
}

fn losses(request: &WriteRequest<'_>) -> Vec<String> {
    let mut losses = Vec::new();
    if let Some([_, y, x]) = request.voxel_um.filter(|[_, y, x]| (y - x).abs() > 1e-6 * x) {
        losses.push(format!(
            "a model has square pixels: the edge {x} µm along x was written for {y} µm along y too"
        ));
    }
    losses
}

/// Outlines of every id in a section.
fn trace(ids: &ArrayView2<'_, f64>, z: usize, objects: &mut BTreeMap<u16, Drawn>) -> Result<(), String> {
    let mut edges: BTreeMap<u16, Edges> = BTreeMap::new();
    let (rows, columns) = ids.dim();
    for ((y, x), value) in ids.indexed_iter() {
        if *value <= 0.0 {
            continue;
        }
        let id = as_id(*value).ok_or_else(|| {
            format!("the id {value} at (z {z}, y {y}, x {x}); a model takes whole ones up to {MAX_OBJECTS}")
        })?;
        let is_same = |dy: isize, dx: isize| {
            let at = y.checked_add_signed(dy).zip(x.checked_add_signed(dx));
            at.filter(|(y, x)| *y < rows && *x < columns).is_some_and(|at| ids[at] == *value)
        };
        let own = edges.entry(id).or_default();
        // Clockwise, as rows run down: the inside lies at the right hand.
        for ((dy, dx), from, to) in [
            ((-1, 0), [x, y], [x + 1, y]),
            ((0, 1), [x + 1, y], [x + 1, y + 1]),
            ((1, 0), [x + 1, y + 1], [x, y + 1]),
            ((0, -1), [x, y + 1], [x, y]),
        ] {
            if !is_same(dy, dx) {
                own.entry(from).or_default().push(to);
            }
        }
    }
    for (id, mut edges) in edges {
        let object = objects.entry(id).or_default();
        while let Some(outline) = next_outline(&mut edges) {
            put_contour(object, &outline, z);
        }
    }
    Ok(())
}

/// From each corner of voxels (x, y) the corners that edges lead to.
type Edges = BTreeMap<[usize; 2], Vec<[usize; 2]>>;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at before")]
fn as_id(value: f64) -> Option<u16> {
    (value.fract() == 0.0 && value <= f64::from(MAX_OBJECTS)).then_some(value as u16)
}

/// Takes one closed outline out of the edges; where two meet at a corner the one that turns to the right belongs to the same voxel.
fn next_outline(edges: &mut Edges) -> Option<Vec<[usize; 2]>> {
    let start = *edges.keys().next()?;
    let mut outline = vec![start];
    let mut at = take(edges, start, None)?;
    let mut before = start;
    while at != start {
        outline.push(at);
        let next = take(edges, at, Some(before))?;
        (before, at) = (at, next);
    }
    Some(without_straight(&outline))
}

fn take(edges: &mut Edges, at: [usize; 2], before: Option<[usize; 2]>) -> Option<[usize; 2]> {
    let ends = edges.get_mut(&at)?;
    let chosen = match before {
        Some(before) if ends.len() > 1 => {
            ends.iter().position(|to| turns_right(before, at, *to)).unwrap_or(0)
        }
        _ => 0,
    };
    let end = ends.swap_remove(chosen);
    if ends.is_empty() {
        edges.remove(&at);
    }
    Some(end)
}

fn turns_right(a: [usize; 2], b: [usize; 2], c: [usize; 2]) -> bool {
    let step = |from: usize, to: usize| i8::from(to > from) - i8::from(to < from);
    let (ax, ay) = (step(a[0], b[0]), step(a[1], b[1]));
    let (bx, by) = (step(b[0], c[0]), step(b[1], c[1]));
    // Rows run down: to the right is a positive turn.
    ax * by - ay * bx > 0
}

/// Without the corners that lie on a straight line between their neighbours.
fn without_straight(outline: &[[usize; 2]]) -> Vec<[usize; 2]> {
    let n = outline.len();
    let is_corner = |i: &usize| {
        let (a, b, c) = (outline[(i + n - 1) % n], outline[*i], outline[(i + 1) % n]);
        !((a[0] == b[0] && b[0] == c[0]) || (a[1] == b[1] && b[1] == c[1]))
    };
    (0..n).filter(is_corner).map(|i| outline[i]).collect()
}

fn put_contour(object: &mut Drawn, outline: &[[usize; 2]], z: usize) {
    object.n_contours += 1;
    let out = &mut object.bytes;
    out.extend(b"CONT");
    out.extend(i32::try_from(outline.len()).unwrap_or(i32::MAX).to_be_bytes());
    out.extend([0; 12]);
    for [x, y] in outline {
        for value in [*x, *y, z] {
            out.extend(single(value as f64).to_be_bytes());
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a model holds single precision")]
fn single(value: f64) -> f32 {
    value as f32
}

fn encode(
    [z, y, x]: [usize; 3],
    request: &WriteRequest<'_>,
    objects: &BTreeMap<u16, Drawn>,
) -> Option<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    let int = |n: usize| i32::try_from(n).ok();
    let put_int = |out: &mut Vec<u8>, value: i32| out.extend(value.to_be_bytes());
    let put_float = |out: &mut Vec<u8>, value: f64| out.extend(single(value).to_be_bytes());
    let n_objects = objects.keys().last().copied().unwrap_or(0);
    let [dz, dy, dx] = request.voxel_um.or(request.ratios).unwrap_or([1.0; 3]);
    let mut name = [0; 128];
    name[..18].copy_from_slice(b"Waterwindow labels");
    out.extend(name);
    for n in [x, y, z, usize::from(n_objects)] {
        put_int(&mut out, int(n)?);
    }
    out.extend(MODEL_FLAGS.to_be_bytes());
    // Draw mode, mouse mode, black and white level.
    [1, 0, 0, 255].into_iter().for_each(|value| put_int(&mut out, value));
    // Offsets, then scales.
    [0.0, 0.0, 0.0, 1.0, 1.0, dz / dx].into_iter().for_each(|value| put_float(&mut out, value));
    // Current object, contour and point, resolution, threshold.
    [0, 0, 0, 3, 128].into_iter().for_each(|value| put_int(&mut out, value));
    // The pixel in nm where it is known.
    put_float(&mut out, request.voxel_um.map_or(1.0, |_| dx * 1e3));
    [if request.voxel_um.is_some() { -9 } else { 0 }, 0]
        .into_iter()
        .for_each(|value| put_int(&mut out, value));
    [0.0; 3].into_iter().for_each(|angle| put_float(&mut out, angle));
    let none = Drawn::default();
    for id in 1..=n_objects {
        put_object(&mut out, id, objects.get(&id).unwrap_or(&none), request);
    }
    if request.voxel_um.is_some() {
        put_image(&mut out, [dx, dy, dz].map(|edge| edge * A_PER_UM), request.origin_um);
    }
    out.extend(b"IEOF");
    Some(out)
}

fn put_object(out: &mut Vec<u8>, id: u16, drawn: &Drawn, request: &WriteRequest<'_>) {
    let class = request.classes.and_then(|table| table.get(id));
    let text = class.map_or_else(String::new, |class| class.name.clone());
    let mut name = [0; 128];
    // 63 bytes and a zero, never a part of a letter.
    let end = (0..=text.len().min(63)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    name[..end].copy_from_slice(&text.as_bytes()[..end]);
    out.extend(b"OBJT");
    out.extend(name);
    out.extend(drawn.n_contours.to_be_bytes());
    // No flags: closed contours; axis, draw mode.
    [0, 0, 1].into_iter().for_each(|value: i32| out.extend(value.to_be_bytes()));
    let color = class.map_or_else(|| palette_color(usize::from(id) - 1), |class| class.color);
    color.into_iter().for_each(|part| out.extend(single(f64::from(part) / 255.0).to_be_bytes()));
    // Radius of points; symbol, its size, line widths, style, flags, padding, transparency; meshes and surfaces.
    out.extend(0i32.to_be_bytes());
    out.extend([1, 3, 1, 1, 0, 0, 0, 0]);
    out.extend([0; 8]);
    out.extend(&drawn.bytes);
}

/// Where the image lies: old scale, place and turn, and those of now; IMOD counts the origin the other way round.
fn put_image(out: &mut Vec<u8>, edges_a: [f64; 3], [oz, oy, ox]: [f64; 3]) {
    out.extend(b"MINX");
    out.extend(72i32.to_be_bytes());
    let origin = [ox, oy, oz].map(|at| 0.0 - at * A_PER_UM);
    for part in [edges_a, origin, [0.0; 3], edges_a, origin, [0.0; 3]] {
        part.into_iter().for_each(|value| out.extend(single(value).to_be_bytes()));
    }
}
