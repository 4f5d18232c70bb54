//! What the user may choose of normalising, what it says it did, and why it could not.

use serde::{Deserialize, Serialize};

use super::flats::FlatFit;
use crate::base::Cancelled;

/// How frames of one kind become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameMean {
    /// Least noise.
    #[default]
    Mean,
    /// Safe against cosmic rays and a sample that drifted into a flat.
    Median,
}

/// Where the intensity of each view comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intensity {
    /// The beam monitor where recorded; else the air beside the sample of a full rotation; else taken as constant.
    #[default]
    Auto,
    /// The beam monitor of the scan.
    Monitor,
    /// The air at both edges of every view.
    Air,
    /// Taken as constant.
    Constant,
}

/// How stripes in sinograms are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StripeMethod {
    /// By sorting columns, where a width is given (`stripes`).
    #[default]
    Sorting,
    /// By wavelets and Fourier transforms.
    Wavelet,
}

/// Whether flats are fitted to each view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FitFlats {
    /// Where flats left out are predicted better that way.
    #[default]
    Auto,
    /// Never: flats as they were taken, interpolated in time.
    Off,
    /// Wherever flats change in ways that stand out from noise.
    On,
}

/// How a scan is normalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NormalizeParams {
    /// How flat and dark frames are combined.
    pub frames: FrameMean,
    /// Interpolate flats in time where they were taken at several moments.
    pub interpolate_flats: bool,
    /// Fit the flat to each view by the ways in which flats differ from each other.
    pub fit_flats: FitFlats,
    /// Where the intensity of each view comes from.
    pub intensity: Intensity,
    /// Replace dead and hot pixels by the median of their neighbours.
    pub repair_pixels: bool,
    /// Lowest transmission that is believed, in standard deviations of the read noise, 0 to 20.
    pub clip_sigma: f64,
    /// Absorbance where there is nothing, which is subtracted; where not given 0, or for whole numbers, which are
    /// no absorbance as such, what lies in the darkest quarter of the values.
    pub background: Option<f64>,
    /// How stripes in sinograms, rings in the volume, are found.
    pub stripe_method: StripeMethod,
    /// Columns that a median across sorted columns goes over, for sorting; 0 leaves stripes, 3 to 101 otherwise.
    pub stripes: u32,
    /// Levels of wavelets, 1 to 8: stripes up to about two to that power columns wide.
    pub stripe_levels: u32,
    /// How slowly a stripe may change, for wavelets, in cycles over the scan, 0.1 to 50.
    pub stripe_sigma: f64,
}

impl Default for NormalizeParams {
    fn default() -> Self {
        Self {
            frames: FrameMean::Mean,
            interpolate_flats: true,
            fit_flats: FitFlats::Auto,
            intensity: Intensity::Auto,
            repair_pixels: true,
            clip_sigma: 3.0,
            background: None,
            stripe_method: StripeMethod::Sorting,
            stripes: 0,
            stripe_levels: super::wavelet::LEVELS,
            stripe_sigma: 1.0,
        }
    }
}

/// What normalising did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NormalizeReport {
    /// What the values of the scan were.
    pub input: &'static str,
    /// Number of views.
    pub n_views: usize,
    /// Where the intensity of each view came from, in words.
    pub intensity: &'static str,
    /// Moments at which flats were taken; views between them got an interpolated flat.
    pub n_flat_groups: usize,
    /// How flats differ and whether they are fitted to each view; none where they differ by noise alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat_fit: Option<FlatFit>,
    /// Pixels of the detector that were repaired in every view.
    pub n_bad_pixels: usize,
    /// Values of the projections that were not finite and were filled from their neighbours.
    pub n_non_finite: u64,
    /// Values below `t_min` that were clipped.
    pub n_clipped: u64,
    /// Lowest transmission that is believed; 0 where the input was absorbance.
    pub t_min: f64,
    /// What was assumed, in sentences.
    pub warnings: Vec<String>,
}

/// Why a scan cannot be normalised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepError {
    /// The scan holds nothing.
    #[error("the scan has no pixels: {n_views} views of {n_rows} x {n_cols}")]
    Empty {
        /// Views.
        n_views: usize,
        /// Rows.
        n_rows: usize,
        /// Columns.
        n_cols: usize,
    },
    /// Angles and views differ in number.
    #[error("{n_angles} angles for {n_views} views: give one angle per view (--angles FILE or START:STEP)")]
    AngleCount {
        /// Angles.
        n_angles: usize,
        /// Views.
        n_views: usize,
    },
    /// An angle is NaN or infinite.
    #[error("the angle of view {view} is {angle}: every angle must be a finite number of degrees")]
    Angle {
        /// Which view, from 0.
        view: usize,
        /// What was found.
        angle: f64,
    },
    /// Counts cannot be normalised without flats.
    #[error(
        "the views are counts but there are no flat fields: give flats (--flat), or say that the values are transmission or absorbance (--input)"
    )]
    NoFlats,
    /// What the values are is not known.
    #[error("the views are {unit}: say what they are, counts, transmission or absorbance (--input)")]
    UnknownInput {
        /// The unit that the scan states.
        unit: &'static str,
    },
    /// Frames of another size than the views.
    #[error("{what} are {found_rows} x {found_cols} pixels, the views are {n_rows} x {n_cols}")]
    FrameShape {
        /// "flats" or "darks".
        what: &'static str,
        /// Rows found.
        found_rows: usize,
        /// Columns found.
        found_cols: usize,
        /// Rows of the views.
        n_rows: usize,
        /// Columns of the views.
        n_cols: usize,
    },
    /// The flat cannot be used.
    #[error(
        "the flat field is zero, negative or not a number in {n_bad} of {n_pixels} pixels ({percent:.0} %): more than 10 % cannot be repaired"
    )]
    BadFlat {
        /// Bad pixels.
        n_bad: usize,
        /// All pixels.
        n_pixels: usize,
        /// Share in per cent.
        percent: f64,
    },
    /// Too many values are NaN or infinite.
    #[error("{n_bad} of {n_values} values of the views are not finite: more than 10 % cannot be filled")]
    NotFinite {
        /// Such values.
        n_bad: u64,
        /// All values.
        n_values: u64,
    },
    /// Air was asked for but is not there.
    #[error(
        "no air beside the sample in every view: take the intensity from the monitor, or as constant (--intensity)"
    )]
    NoAir,
    /// The monitor was asked for but is not there.
    #[error(
        "the scan has {n_beam} beam readings for {n_views} views: take another source of intensity (--intensity)"
    )]
    NoMonitor {
        /// Readings.
        n_beam: usize,
        /// Views.
        n_views: usize,
    },
    /// A parameter is out of range.
    #[error("clip_sigma is {0}, it must be between 0 and 20")]
    ClipSigma(f64),
    /// A parameter is out of range.
    #[error("stripe_levels is {0}, it must be between 1 and 8")]
    StripeLevels(u32),
    /// A parameter is out of range.
    #[error("stripe_sigma is {0}, it must be between 0.1 and 50")]
    StripeSigma(f64),
    /// The owner cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
