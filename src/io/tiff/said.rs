//! What the description of a file says, whichever program wrote it.

use std::collections::BTreeMap;

use crate::io::choice::AxisOrder;
use crate::io::format::Header;
use crate::io::sidecar::Sidecar;

/// What precedes our own JSON in a description.
pub(super) const OWN_LINE: &str = "waterwindow=";

/// How the frames of a file, one after the other, make up channels, planes and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Axes {
    pub(super) n_channels: usize,
    pub(super) n_planes: usize,
    pub(super) n_times: usize,
    /// Frames from one channel, plane, time to the next.
    pub(super) channel_step: usize,
    pub(super) plane_step: usize,
    pub(super) time_step: usize,
}

impl Axes {
    /// Planes only.
    pub(super) fn planes(n_planes: usize) -> Self {
        Self { n_channels: 1, n_planes, n_times: 1, channel_step: 1, plane_step: 1, time_step: n_planes }
    }

    /// From the order of the axes, the fastest first, of the letters C, Z and T; `None` where the number of frames is
    /// beyond what is counted.
    pub(super) fn ordered(
        order: [char; 3],
        n_channels: usize,
        n_planes: usize,
        n_times: usize,
    ) -> Option<Self> {
        let mut axes = Self { n_channels, n_planes, n_times, channel_step: 1, plane_step: 1, time_step: 1 };
        let mut step = 1usize;
        for axis in order {
            let (own, n) = match axis {
                'C' => (&mut axes.channel_step, n_channels),
                'Z' => (&mut axes.plane_step, n_planes),
                _ => (&mut axes.time_step, n_times),
            };
            *own = step;
            step = step.checked_mul(n)?;
        }
        Some(axes)
    }

    /// Frames that they need.
    pub(super) fn n_frames(&self) -> Option<usize> {
        self.n_channels.checked_mul(self.n_planes)?.checked_mul(self.n_times)
    }

    /// Times as planes, where there is one plane at each time: a series of pictures is a stack.
    pub(super) fn with_times_as_planes(self) -> Self {
        if self.n_planes > 1 || self.n_times == 1 {
            return self;
        }
        Self { n_planes: self.n_times, plane_step: self.time_step, n_times: 1, ..self }
    }
}

/// A parsed description.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Said {
    /// Order of the frames; `None` where each is a plane.
    pub(super) axes: Option<Axes>,
    /// Size along z, y, x in µm as far as it is said; x and y of ImageJ stand in the resolution tags.
    pub(super) voxel_um: [Option<f64>; 3],
    /// Size along z, y, x in a unit that is no length, for the ratios alone.
    pub(super) edges: [Option<f64>; 3],
    /// µm in the unit in which the resolution tags count too, along y and x.
    pub(super) um_per_unit_yx: [Option<f64>; 2],
    /// Whether the resolution tags say no length.
    pub(super) is_without_size: bool,
    /// Whether they say lengths in a unit that is none, of which the ratios count.
    pub(super) has_unit_of_its_own: bool,
    /// What the stored planes, rows and columns are, where they are not z, y, x.
    pub(super) order: Option<AxisOrder>,
    /// Why planes are missing at the end, where the file is not cut short.
    pub(super) unplaced: Option<String>,
    /// Frames that lie one after the other behind the first page, where there are fewer pages.
    pub(super) n_images: Option<usize>,
    /// Bytes from one such frame to the next; as many as the frame has where it is not said.
    pub(super) frame_bytes: Option<u64>,
    pub(super) channel_names: Vec<String>,
    /// Whether 32768 is to be taken off unsigned 16-bit values: ImageJ's signed 16 bits.
    pub(super) is_signed_16: bool,
    /// Whether planar samples are planes and no colours.
    pub(super) samples_are_planes: bool,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
    /// The image of several that was taken because nobody chose.
    pub(super) guessed: Option<String>,
    /// Our own JSON.
    pub(super) own: Option<Sidecar>,
}

/// Resolution tags: pixels in their unit along x and y, and µm in that unit where it is one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resolution {
    pub(super) per_unit_xy: [Option<f64>; 2],
    pub(super) um_per_unit: Option<f64>,
}

impl Resolution {
    /// Whether the pixels are those of a microscope: 300 dots per inch say something about paper, not about a sample.
    fn is_microscopic(&self) -> bool {
        let um = self.um_per_unit.zip(self.per_unit_xy[0]).map(|(um, per_unit)| um / per_unit);
        um.is_some_and(|um| um < 10.0)
    }
}

impl Said {
    /// Lets a header say what the description and the resolution tags say.
    pub(super) fn apply(mut self, header: &mut Header, resolution: Resolution) {
        header.warnings.append(&mut self.warnings);
        header.metadata.append(&mut self.metadata);
        header.guessed.dataset = self.guessed.take();
        let um_yx = match self.um_per_unit_yx {
            [None, None] if self.is_without_size || !resolution.is_microscopic() => [None; 2],
            [None, None] => [resolution.um_per_unit; 2],
            said => said,
        };
        let from_tag = |axis: usize| {
            let size = um_yx[axis]? / resolution.per_unit_xy[1 - axis]?;
            (size.is_finite() && size > 0.0).then(|| tidy(size))
        };
        let [z, y, x] = self.voxel_um;
        let (y, x) = (y.or_else(|| from_tag(0)), x.or_else(|| from_tag(1)));
        if let Some(size) = x.or(y) {
            header.voxel_um = Some([z.unwrap_or(size), y.unwrap_or(size), x.unwrap_or(size)]);
            if let (Some(spacing), None) = (self.edges[0], z) {
                header.warnings.push(format!(
                    "the spacing of the planes, {spacing}, has no unit of length and was left out"
                ));
            }
            if x.is_none() != y.is_none() {
                let (known, unknown) = if y.is_none() { ("x", "y") } else { ("y", "x") };
                header.warnings.push(format!(
                    "no size along {unknown} in the file, {size} µm as in {known} was assumed"
                ));
            }
        } else if let Some(z) = z {
            header
                .warnings
                .push(format!("the file gives a size along z alone ({z} µm); the voxel size is unknown"));
        }
        let ratios = if header.voxel_um.is_none() && z.is_none() { self.ratios(resolution) } else { None };
        let is_guessed = z.is_none() && header.voxel_um.is_some() && header.shape[0] > 1;
        let own_says = self.own.is_some();
        if let Some(own) = self.own.take() {
            own.apply(header);
        }
        header.ratios = ratios.filter(|_| header.voxel_um.is_none());
        if let Some([z, ..]) = header.voxel_um.filter(|_| is_guessed && !own_says) {
            header.warnings.push(format!("no spacing of the planes in the file, {z} µm as in x was assumed"));
        }
    }

    /// Edges in a unit that is no length, the shortest 1; `None` for cubes, which need no word.
    fn ratios(&self, resolution: Resolution) -> Option<[f64; 3]> {
        let tags = resolution.per_unit_xy.map(|per_unit| {
            per_unit.filter(|_| !self.is_without_size || self.has_unit_of_its_own).map(|n| 1.0 / n)
        });
        let [z, y, x] = self.edges;
        let (y, x) = (y.or(tags[1]), x.or(tags[0]));
        // A spacing alone counts in pixels.
        let x = x.or(y).or(z.map(|_| 1.0))?;
        let edges = [z.unwrap_or(x), y.unwrap_or(x), x];
        let shortest = edges.into_iter().fold(f64::INFINITY, f64::min);
        let ratios = edges.map(|edge| tidy(edge / shortest));
        let is_fine = ratios.iter().all(|ratio| ratio.is_finite() && *ratio > 0.0);
        (is_fine && ratios.iter().any(|ratio| *ratio > 1.000_01)).then_some(ratios)
    }
}

/// Seven digits: fractions of 32 bits, more digits than these are noise.
fn tidy(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}
