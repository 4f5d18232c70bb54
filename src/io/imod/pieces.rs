//! The pieces of a model of IMOD, version 1.2, as they are stored.
//!
//! Big-endian: `IMODV1.2`, a head of 232 bytes, then pieces named by four letters until `IEOF`. `OBJT` (176
//! bytes) and `CONT` (count of points, 12 bytes, then x, y, z as f32) have no length of their own, `MESH` has
//! its counts, every other piece says its length first. IMOD counts x and y from the corner of a pixel, so that
//! the middle of pixel (0, 0) is at (0.5, 0.5), and z from the middle of a section. Rows are not flipped.
//! Reference: IMOD's description of its binary model file.

use crate::volume::classes::palette_color;

/// Largest model that is read; a thousand beads in a thousand views take 12 MB.
pub(super) const MAX_BYTES: u64 = 512 << 20;
pub(super) const MAGIC: &[u8; 8] = b"IMODV1.2";
pub(super) const HEAD: usize = 232;
pub(super) const OBJECT: usize = 176;
/// Flags of an object: contours are open; points are places of their own.
const OPEN: u32 = 1 << 3;
const SCATTERED: u32 = 1 << 9;
/// Flag of a contour: it is open, whatever its object says.
const CONTOUR_OPEN: u32 = 1 << 3;
const NOT_FINITE: &str = "a point of the model is not a finite number";

/// Takes big-endian values off the front of some bytes.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (head, rest) = self.0.split_at_checked(n).ok_or("the model ends before its data do")?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn word(&mut self) -> Result<[u8; 4], String> {
        let bytes = self.take(4)?;
        Ok([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// A count of things of `size` bytes, which are there.
    pub(super) fn count(&mut self, size: usize) -> Result<usize, String> {
        let n = usize::try_from(i32::from_be_bytes(self.word()?))
            .map_err(|_negative| "the model has a negative count".to_owned())?;
        let there = n.checked_mul(size).is_some_and(|bytes| bytes <= self.0.len());
        if there { Ok(n) } else { Err("the model ends before its data do".to_owned()) }
    }

    pub(super) fn float(&mut self) -> Result<f64, String> {
        Ok(f64::from(f32::from_be_bytes(self.word()?)))
    }

    pub(super) fn int(&mut self) -> Result<i32, String> {
        Ok(i32::from_be_bytes(self.word()?))
    }

    /// Text that ends with a zero or the field.
    pub(super) fn text(&mut self, n: usize) -> Result<String, String> {
        let bytes = self.take(n)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(n);
        Ok(String::from_utf8_lossy(&bytes[..end]).trim().to_owned())
    }

    /// Three numbers in the order x, y, z.
    pub(super) fn point(&mut self) -> Result<[f64; 3], String> {
        let point = [self.float()?, self.float()?, self.float()?];
        if point.iter().all(|v| v.is_finite()) { Ok(point) } else { Err(NOT_FINITE.to_owned()) }
    }

    /// Passes over a mesh, which counts its vertices and its list.
    pub(super) fn skip_mesh(&mut self) -> Result<(), String> {
        let mut sizes = Cursor(self.take(16)?);
        let (vertices, list) = (sizes.int()?, sizes.int()?);
        let length = |n: i32, size: usize| usize::try_from(n).ok().and_then(|n| n.checked_mul(size));
        let (Some(a), Some(b)) = (length(vertices, 12), length(list, 4)) else {
            return Err("the model has a negative count".to_owned());
        };
        self.take(a)?;
        self.take(b)?;
        Ok(())
    }
}

/// Passes over the first bytes, which say that it is a model.
pub(super) fn check_magic(cursor: &mut Cursor<'_>) -> Result<(), String> {
    match cursor.take(8) {
        Ok(id) if id == MAGIC => Ok(()),
        Ok(id) if id.starts_with(b"IMOD") => Err("an IMOD model of another version than 1.2".to_owned()),
        _ => Err("not an IMOD model: it does not begin with IMODV1.2".to_owned()),
    }
}

/// A model: what it was drawn on, and what was drawn.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) name: String,
    /// Sides of the image in pixels, x, y, z; 0 where it was not drawn on one.
    pub(super) sides: [usize; 3],
    /// z in pixels of x and y.
    pub(super) z_scale: f64,
    /// Edge of a pixel in µm, where it has a unit.
    pub(super) pixel_um: Option<f64>,
    /// Edges of a pixel and place of the origin in Å, x, y, z, as the image had them.
    pub(super) image_a: Option<([f64; 3], [f64; 3])>,
    pub(super) objects: Vec<Object>,
}

/// What the contours of an object are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Closed,
    Open,
    Points,
}

/// One object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) color: [u8; 3],
    /// Radius of its points in pixels.
    pub(super) radius_px: f64,
    pub(super) contours: Vec<Contour>,
    /// Whether it has a mesh of its own.
    pub(super) has_mesh: bool,
}

/// One contour: points x, y, z in pixels of IMOD, and the radii of points that have one.
#[derive(Debug, Default)]
pub(super) struct Contour {
    pub(super) points: Vec<[f64; 3]>,
    pub(super) radii_px: Vec<f64>,
    pub(super) is_open: bool,
}

impl Model {
    /// Reads a model from its bytes.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut cursor = Cursor(bytes);
        check_magic(&mut cursor)?;
        let mut model = Self::head(&mut Cursor(cursor.take(HEAD)?))?;
        while !cursor.0.is_empty() {
            match &cursor.word()? {
                b"IEOF" => break,
                b"OBJT" => {
                    let object = Object::parse(&mut Cursor(cursor.take(OBJECT)?), model.objects.len())?;
                    model.objects.push(object);
                }
                b"CONT" => {
                    let contour = Contour::parse(&mut cursor)?;
                    if let Some(object) = model.objects.last_mut() {
                        object.contours.push(contour);
                    }
                }
                b"MESH" => {
                    cursor.skip_mesh()?;
                    model.objects.iter_mut().last().into_iter().for_each(|object| object.has_mesh = true);
                }
                name => {
                    let n = cursor.count(1)?;
                    model.other(*name, &mut Cursor(cursor.take(n)?))?;
                }
            }
        }
        Ok(model)
    }

    fn head(head: &mut Cursor<'_>) -> Result<Self, String> {
        let name = head.text(128)?;
        let mut side = || Ok::<_, String>(usize::try_from(head.int()?).unwrap_or(0));
        let sides = [side()?, side()?, side()?];
        head.take(4)?;
        head.take(4 + 16 + 12)?;
        let [_, _, z_scale] = [head.float()?, head.float()?, head.float()?];
        head.take(20)?;
        let (pixel, unit) = (head.float()?, head.int()?);
        let um = match unit {
            3 => Some(1e9),
            1 => Some(1e6),
            -2 => Some(1e4),
            -3 => Some(1e3),
            -6 => Some(1.0),
            -9 => Some(1e-3),
            -10 => Some(1e-4),
            -12 => Some(1e-6),
            _ => None,
        };
        let pixel_um = um.map(|um| um * pixel).filter(|um| um.is_finite() && *um > 0.0);
        let z_scale = if z_scale.is_finite() && z_scale > 0.0 { z_scale } else { 1.0 };
        Ok(Self { name, sides, z_scale, pixel_um, ..Self::default() })
    }

    /// Pieces behind what they belong to: sizes of the points of a contour, the image that the model was drawn on.
    fn other(&mut self, name: [u8; 4], body: &mut Cursor<'_>) -> Result<(), String> {
        match &name {
            b"SIZE" => {
                let contour = self.objects.last_mut().and_then(|object| object.contours.last_mut());
                let Some(contour) = contour else { return Ok(()) };
                while body.0.len() >= 4 {
                    contour.radii_px.push(body.float()?);
                }
            }
            b"MINX" if body.0.len() >= 72 => {
                body.take(36)?;
                let (edges, place) = (body.point()?, body.point()?);
                self.image_a = Some((edges, place));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Object {
    fn parse(body: &mut Cursor<'_>, n: usize) -> Result<Self, String> {
        let name = body.text(64)?;
        body.take(64 + 4)?;
        let flags = u32::from_be_bytes(body.word()?);
        body.take(8)?;
        let parts = [body.float()?, body.float()?, body.float()?];
        let radius_px = f64::from(body.int()?.max(0));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 255")]
        let color = if parts.iter().all(|part| part.is_finite()) {
            parts.map(|part| (part.clamp(0.0, 1.0) * 255.0).round() as u8)
        } else {
            palette_color(n)
        };
        let shape = match flags {
            flags if flags & SCATTERED != 0 => Shape::Points,
            flags if flags & OPEN != 0 => Shape::Open,
            _ => Shape::Closed,
        };
        let contours = Vec::new();
        Ok(Self { name, shape, color, radius_px, contours, has_mesh: false })
    }
}

impl Contour {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let n = usize::try_from(cursor.int()?)
            .map_err(|_negative| "the model has a negative count".to_owned())?;
        let flags = u32::from_be_bytes(cursor.word()?);
        cursor.take(8)?;
        let bytes = n.checked_mul(12).ok_or("the model ends before its data do")?;
        let mut values = Cursor(cursor.take(bytes)?);
        let mut points = Vec::with_capacity(n);
        while !values.0.is_empty() {
            points.push(values.point()?);
        }
        Ok(Self { points, radii_px: Vec::new(), is_open: flags & CONTOUR_OPEN != 0 })
    }
}
