//! What the description of a file says, whichever program wrote it.

use std::collections::BTreeMap;

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
    /// µm in the unit in which the resolution tags count too.
    pub(super) um_per_unit: Option<f64>,
    /// Whether the resolution tags mean nothing.
    pub(super) is_without_size: bool,
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
    pub(super) fn apply(self, header: &mut Header, resolution: Resolution) {
        header.warnings.extend(self.warnings);
        header.metadata.extend(self.metadata);
        header.guessed.dataset = self.guessed;
        let um = match self.um_per_unit {
            Some(um) => Some(um),
            None if self.is_without_size || !resolution.is_microscopic() => None,
            None => resolution.um_per_unit,
        };
        let from_tag = |per_unit: Option<f64>| {
            let size = um? / per_unit?;
            // Fractions of 32 bits: more digits than these are noise.
            (size.is_finite() && size > 0.0).then(|| format!("{size:.6e}").parse().ok())?
        };
        let x = self.voxel_um[2].or_else(|| from_tag(resolution.per_unit_xy[0]));
        let y = self.voxel_um[1].or_else(|| from_tag(resolution.per_unit_xy[1])).or(x);
        if let Some((y, x)) = y.zip(x) {
            let z = self.voxel_um[0].unwrap_or(x);
            header.voxel_um = Some([z, y, x]);
        }
        let is_guessed = self.voxel_um[0].is_none() && header.voxel_um.is_some() && header.shape[0] > 1;
        let own_says = self.own.is_some();
        if let Some(own) = self.own {
            own.apply(header);
        }
        if let Some([z, ..]) = header.voxel_um.filter(|_| is_guessed && !own_says) {
            header.warnings.push(format!("no spacing of the planes in the file, {z} µm as in x was assumed"));
        }
    }
}
