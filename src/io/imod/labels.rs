//! Contours of a model of IMOD as labels on the grid of the image that it was drawn on, and labels as contours.
//!
//! Every object is a class, in the order of the model. Closed contours are filled: a voxel is inside where its middle
//! is, and a contour within another one of its object is a hole. Open contours are lines of one voxel, through sections
//! too, points are balls of their radius. Where objects lie over each other the smaller one is on top. Sections between contours stay empty.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::Array3;

use super::fill::{self, Mask};
use super::outline;
use super::pieces::{MAGIC, MAX_BYTES, Model, Object, Shape};
use crate::base::{Progress, Unit};
use crate::io::array::Dtype;
use crate::io::error::IoError;
use crate::io::format::{Format, Header, OpenRequest, Probe, Source, WriteRequest};
use crate::io::walk::Values;
use crate::volume::{AnyArray, Class, ClassTable};

/// Steps that are taken to draw a model at most.
const MAX_STEPS: u64 = 1 << 32;
/// Largest side of an image that is believed.
const MAX_SIDE: usize = 1 << 24;
const UM_PER_A: f64 = 1e-4;

/// The format.
pub(crate) struct ImodLabels;

impl Format for ImodLabels {
    fn name(&self) -> &'static str {
        "IMOD model"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["mod"]
    }

    fn sniff(&self, probe: &Probe) -> bool {
        probe.head.starts_with(MAGIC)
    }

    fn open(&self, request: &OpenRequest<'_>) -> Result<Box<dyn Source>, IoError> {
        let path = request.path;
        let length = std::fs::metadata(path).map_err(|e| IoError::system("read", path, e))?.len();
        request
            .budget
            .admit(length.saturating_mul(4))
            .map_err(|source| IoError::Memory { path: path.to_owned(), source })?;
        if length > MAX_BYTES {
            return Err(IoError::content(
                path,
                format!("a model of {length} bytes; up to {MAX_BYTES} are read"),
            ));
        }
        let bytes = std::fs::read(path).map_err(|e| IoError::system("read", path, e))?;
        let content = |problem: String| IoError::content(path, problem);
        let model = Model::parse(&bytes).map_err(content)?;
        let drawn = Drawn::of(path, &model).map_err(content)?;
        // A section is put down whole.
        let [_, rows, columns] = drawn.header.shape;
        let plane = (rows as u64).saturating_mul(columns as u64).saturating_mul(4);
        request.budget.admit(plane).map_err(|source| IoError::Memory { path: path.to_owned(), source })?;
        Ok(Box::new(drawn))
    }

    fn bytes_of_streaming(&self, header: &Header) -> Option<u64> {
        crate::io::walk::bytes_of_views(header)
    }

    fn write(
        &self,
        path: &Path,
        values: Values<'_>,
        request: &WriteRequest<'_>,
        progress: &Progress,
    ) -> Result<Vec<String>, IoError> {
        if request.unit != Some(Unit::Label) {
            return Err(IoError::content(
                path,
                "only labels are written as contours; say that these are (--as labels), or choose another format",
            ));
        }
        outline::write(path, values, request, progress)
    }
}

/// What lies in one section: closed contours that belong together, lines, and discs.
#[derive(Default)]
struct Section {
    closed: Vec<Vec<[f64; 2]>>,
    lines: Vec<Vec<[f64; 2]>>,
    discs: Vec<([f64; 2], f64)>,
}

impl Section {
    /// About how many steps it takes to put it down.
    fn work(&self, sides: [usize; 2]) -> u64 {
        let outlines = self.closed.iter().chain(&self.lines).map(|points| fill::work(points, sides));
        let wide = |radius: f64, side: usize| (2.0 * radius + 3.0).min(side as f64);
        let discs = self.discs.iter().map(|(_, radius)| wide(*radius, sides[0]) * wide(*radius, sides[1]));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
        let discs = discs.sum::<f64>() as u64;
        outlines.fold(discs, u64::saturating_add)
    }
}

/// A model as a source of labels.
struct Drawn {
    path: PathBuf,
    header: Header,
    /// Of each section the objects in it, with their ids, in the order in which they are put down.
    sections: BTreeMap<usize, Vec<(u16, Section)>>,
}

impl Drawn {
    fn of(path: &Path, model: &Model) -> Result<Self, String> {
        if model.objects.len() > usize::from(u16::MAX) {
            return Err(format!("a model of {} objects; up to 65535 become classes", model.objects.len()));
        }
        let mut warnings = Vec::new();
        let shape = shape_of(model, &mut warnings);
        let mut header = Header::new("IMOD model", shape, Dtype::U16);
        header.set_unit(Unit::Label);
        place(model, &mut header);
        header.classes = Some(classes_of(model));
        if !model.name.is_empty() {
            header.metadata.insert("model".to_owned(), model.name.clone());
        }
        let sections = sections_of(model, shape, &mut warnings)?;
        let sides = [shape[1], shape[2]];
        let steps = sections.values().flatten().map(|(_, section)| section.work(sides));
        let steps = steps.fold(0u64, u64::saturating_add);
        if steps > MAX_STEPS {
            return Err(format!(
                "contours that cross their image {steps} times, up to {MAX_STEPS} are drawn: the model is damaged"
            ));
        }
        header.warnings.extend(warnings);
        Ok(Self { path: path.to_owned(), header, sections })
    }

    /// Puts one section down.
    fn put(&self, at: usize, plane: &mut ndarray::ArrayViewMut2<'_, u16>) {
        let (rows, columns) = plane.dim();
        let sides = [rows, columns];
        let mut put = |mask: &Mask, id: u16| {
            for (row, values) in mask.values.chunks(mask.size[1].max(1)).enumerate() {
                for (column, _) in values.iter().enumerate().filter(|(_, value)| **value) {
                    plane[[mask.at[0] + row, mask.at[1] + column]] = id;
                }
            }
        };
        for (id, section) in self.sections.get(&at).into_iter().flatten() {
            if !section.closed.is_empty() {
                put(&fill::closed(&section.closed, sides), *id);
            }
            section.lines.iter().for_each(|line| put(&fill::line(line, sides), *id));
            section.discs.iter().for_each(|(middle, radius)| put(&fill::disc(*middle, *radius, sides), *id));
        }
    }
}

impl Source for Drawn {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let [n, rows, columns] = self.header.shape;
        if planes.end > n {
            return Err(IoError::content(&self.path, format!("section {} of {n}", planes.end)));
        }
        let mut array = Array3::<u16>::zeros((planes.len(), rows, columns));
        for (mut plane, at) in array.outer_iter_mut().zip(planes) {
            self.put(at, &mut plane);
        }
        Ok(AnyArray::U16(array))
    }
}

/// Sides of the image as z, y, x; of a model that was drawn on none as far as its points go.
fn shape_of(model: &Model, warnings: &mut Vec<String>) -> [usize; 3] {
    let [x, y, z] = model.sides;
    if [x, y, z].iter().all(|side| (1..=MAX_SIDE).contains(side)) {
        return [z, y, x];
    }
    let mut most = [0.0f64; 3];
    for point in model.objects.iter().flat_map(|object| &object.contours).flat_map(|c| &c.points) {
        most = std::array::from_fn(|axis| most[axis].max(point[axis]));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to sides")]
    let side = |axis: usize| (most[axis].ceil() + 1.0).clamp(1.0, MAX_SIDE as f64) as usize;
    let shape = [side(2), side(1), side(0)];
    warnings.push(format!(
        "the model does not say how large its image is: {} × {} × {} voxels (z × y × x) hold all of its points",
        shape[0], shape[1], shape[2]
    ));
    shape
}

/// Voxel size and origin, as far as the model has them.
fn place(model: &Model, header: &mut Header) {
    let of_image = model.image_a.filter(|(edges, _)| edges.iter().all(|edge| *edge > 0.0 && *edge != 1.0));
    // The digits of single precision.
    let short = |value: f64| format!("{value:.6e}").parse().unwrap_or(value);
    header.voxel_um = match (model.pixel_um, of_image) {
        (Some(um), _) => Some([short(um * model.z_scale), short(um), short(um)]),
        (None, Some(([x, y, z], _))) => Some([z, y, x].map(|edge| short(edge * UM_PER_A))),
        (None, None) => None,
    };
    if header.voxel_um.is_none() && (model.z_scale - 1.0).abs() > 1e-6 {
        let shortest = model.z_scale.min(1.0);
        header.ratios = Some([model.z_scale / shortest, 1.0 / shortest, 1.0 / shortest]);
    }
    // IMOD counts the origin the other way round.
    if let (Some((_, [x, y, z])), true) = (of_image, header.voxel_um.is_some()) {
        header.origin_um = [z, y, x].map(|at| short(-at * UM_PER_A) + 0.0);
    }
}

fn classes_of(model: &Model) -> ClassTable {
    let mut table = ClassTable::default();
    let is_there = |object: &Object| !(object.contours.is_empty() && object.name.is_empty());
    for (object, id) in model.objects.iter().zip(1u16..).filter(|(object, _)| is_there(object)) {
        let name = if object.name.is_empty() { format!("object {id}") } else { object.name.clone() };
        table.insert(Class {
            id,
            name,
            color: object.color,
            parent: None,
            go_id: None,
            typical_lac: None,
            visible: true,
            locked: false,
        });
    }
    table
}

/// Section of a z: its middle is at the whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the number of sections"
)]
fn section_of(z: f64, n: usize) -> Option<usize> {
    let at = (z + 0.25).floor();
    (0.0..n as f64).contains(&at).then_some(at as usize)
}

/// Twice the area that the contours of an object enclose, over all sections.
fn area(object: &Object) -> f64 {
    let of = |points: &[[f64; 3]]| -> f64 {
        let next = points.iter().cycle().skip(1);
        points.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum()
    };
    match object.shape {
        Shape::Closed => object.contours.iter().map(|contour| of(&contour.points).abs()).sum(),
        Shape::Open | Shape::Points => 0.0,
    }
}

/// What was left out of a model, and why.
#[derive(Default)]
struct Left {
    outside: usize,
    bent: usize,
    few: usize,
    /// Pieces of lines and balls that were put into sections so far.
    pieces: usize,
}

/// Pieces of lines and balls at most.
const MAX_PIECES: usize = 1 << 24;

/// Everything that was drawn, by sections; larger objects first, so that smaller ones lie on top.
fn sections_of(
    model: &Model,
    [n, ..]: [usize; 3],
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<usize, Vec<(u16, Section)>>, String> {
    let mut order: Vec<(u16, &Object)> = (1u16..).zip(&model.objects).collect();
    order.sort_by(|a, b| area(b.1).total_cmp(&area(a.1)).then(a.0.cmp(&b.0)));
    let mut sections: BTreeMap<usize, Vec<(u16, Section)>> = BTreeMap::new();
    let mut left = Left::default();
    for (id, object) in order {
        let mut own: BTreeMap<usize, Section> = BTreeMap::new();
        for (contour, points) in object.contours.iter().map(|contour| (contour, &contour.points)) {
            if object.shape == Shape::Points {
                balls(object, contour, model.z_scale, n, &mut own, &mut left);
                continue;
            }
            let Some(first) = points.first() else { continue };
            let is_flat = points.iter().all(|point| (point[2] - first[2]).abs() < 0.5);
            let is_open = object.shape == Shape::Open || contour.is_open;
            let flat: Vec<[f64; 2]> = points.iter().map(|[x, y, _]| [*x, *y]).collect();
            match (section_of(first[2], n), is_open) {
                (_, true) => thread(points, n, &mut own, &mut left),
                (None, _) => left.outside += 1,
                (Some(_), _) if !is_flat => left.bent += 1,
                (Some(_), false) if points.len() < 3 => left.few += 1,
                (Some(at), false) => own.entry(at).or_default().closed.push(flat),
            }
        }
        say_gaps(object, id, &own, warnings);
        for (at, section) in own {
            sections.entry(at).or_default().push((id, section));
        }
    }
    if left.pieces >= MAX_PIECES {
        return Err(format!("lines and points in more than {MAX_PIECES} pieces: the model is damaged"));
    }
    say_left(&left, model, warnings);
    Ok(sections)
}

/// A line through sections, as the pieces that lie in each.
fn thread(points: &[[f64; 3]], n: usize, own: &mut BTreeMap<usize, Section>, left: &mut Left) {
    let mut is_within = false;
    let ends = points.iter().zip(points.iter().skip(1).chain(points.last()));
    for (a, b) in ends {
        let at = |part: f64| -> [f64; 3] { std::array::from_fn(|axis| a[axis] + (b[axis] - a[axis]) * part) };
        // As many pieces as sections are crossed; a line far beyond the image is followed within it only.
        let n_pieces = (b[2] - a[2]).abs().ceil().clamp(1.0, 4.0 * n as f64);
        let mut piece = 0.0;
        while piece < n_pieces && left.pieces < MAX_PIECES {
            left.pieces += 1;
            let (from, to) = (at(piece / n_pieces), at((piece + 1.0) / n_pieces));
            let middle = at((piece + 0.5) / n_pieces);
            for (section, line) in [(from[2], [from, middle]), (to[2], [middle, to])] {
                let Some(section) = section_of(section, n) else { continue };
                is_within = true;
                own.entry(section).or_default().lines.push(line.map(|[x, y, _]| [x, y]).to_vec());
            }
            piece += 1.0;
        }
    }
    left.outside += usize::from(!is_within);
}

/// Points as the discs that their balls have in each section.
fn balls(
    object: &Object,
    contour: &super::pieces::Contour,
    z_scale: f64,
    n: usize,
    own: &mut BTreeMap<usize, Section>,
    left: &mut Left,
) {
    for (i, [x, y, z]) in contour.points.iter().enumerate() {
        let given = contour.radii_px.get(i).copied().filter(|radius| *radius >= 0.0);
        let radius = given.unwrap_or(object.radius_px).min(MAX_SIDE as f64);
        let Some(middle) = section_of(*z, n) else {
            left.outside += 1;
            continue;
        };
        let reach = radius / z_scale;
        let (first, last) =
            (section_of((z - reach).max(0.0), n), section_of((z + reach).min(n as f64 - 1.0), n));
        for at in first.unwrap_or(middle)..=last.unwrap_or(middle) {
            left.pieces += 1;
            if left.pieces >= MAX_PIECES {
                return;
            }
            let dz = (at as f64 - z) * z_scale;
            let square = radius * radius - dz * dz;
            if square >= 0.0 || at == middle {
                own.entry(at).or_default().discs.push(([*x, *y], square.max(0.0).sqrt()));
            }
        }
    }
}

/// Says of an object that was not drawn in every section between its first and its last.
fn say_gaps(object: &Object, id: u16, own: &BTreeMap<usize, Section>, warnings: &mut Vec<String>) {
    let drawn: Vec<usize> = own.iter().filter(|(_, s)| !s.closed.is_empty()).map(|(at, _)| *at).collect();
    if let (Some(first), Some(last)) = (drawn.first(), drawn.last())
        && last - first + 1 > drawn.len()
    {
        let name = if object.name.is_empty() { format!("object {id}") } else { object.name.clone() };
        warnings.push(format!(
            "{name} was drawn in {} of its {} sections: those between are empty (interpolate fills them)",
            drawn.len(),
            last - first + 1
        ));
    }
}

fn say_left(left: &Left, model: &Model, warnings: &mut Vec<String>) {
    for (n, why) in [
        (left.outside, "lie beyond the sections of the image"),
        (left.bent, "are closed but do not lie in one section"),
        (left.few, "have fewer than three points and enclose nothing"),
    ] {
        if n > 0 {
            warnings.push(format!("{n} contours or points {why} and are left out"));
        }
    }
    let n_meshes = model.objects.iter().filter(|object| object.has_mesh).count();
    if n_meshes > 0 {
        warnings.push(format!("the meshes of {n_meshes} objects were not read; their contours were"));
    }
    if model.objects.iter().any(|object| object.shape == Shape::Open && !object.contours.is_empty()) {
        warnings.push("open contours are lines of one voxel, however thick they are drawn".to_owned());
    }
    let with_area = model.objects.iter().filter(|object| area(object) > 0.0).count();
    if with_area > 1 {
        warnings.push("where objects lie over each other the smaller one is on top".to_owned());
    }
}
