//! Pictures to H.264: colours to BT.709, one thread, so that the same pictures give the same bytes everywhere.

use image::RgbaImage;
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod, RateControlMode,
    VuiConfig,
};
use openh264::formats::YUVSlices;
use openh264::{Error, Timestamp};
use rayon::prelude::*;

use super::mp4::Track;

/// Largest and smallest edge that is coded, the larger and the smaller of a picture.
pub(super) const MAX_EDGES: [u32; 2] = [3840, 2160];
/// The smallest edge that is coded.
pub(super) const MIN_EDGE: u32 = 16;

/// Bits per pixel that the level is announced by; every frame has the same quality, whatever it takes.
const BITS_PER_PX: f64 = 0.35;

/// Turns pictures into a track.
pub(super) struct Coder {
    encoder: Encoder,
    planes: Planes,
    track: Track,
    fps: f64,
}

impl Coder {
    /// For pictures of an even size.
    pub(super) fn new([width, height]: [u32; 2], fps: f64) -> Result<Self, Error> {
        let px_per_s = f64::from(width) * f64::from(height) * fps;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let (bits, between_keys) =
            ((px_per_s * BITS_PER_PX).clamp(1e6, 1.2e8) as u32, (2.0 * fps).round().clamp(1.0, 250.0) as u32);
        #[expect(clippy::cast_possible_truncation, reason = "a rate up to a few hundred")]
        let rate = fps as f32;
        let config = EncoderConfig::new()
            .bitrate(BitRate::from_bps(bits))
            .max_frame_rate(FrameRate::from_hz(rate))
            .rate_control_mode(RateControlMode::Off)
            .skip_frames(false)
            .complexity(Complexity::High)
            .adaptive_quantization(false)
            .background_detection(false)
            .scene_change_detect(false)
            .intra_frame_period(IntraFramePeriod::from_num_frames(between_keys))
            .num_threads(1)
            .vui(VuiConfig::bt709());
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config)?;
        Ok(Self { encoder, planes: Planes::new([width, height]), track: Track::default(), fps })
    }

    /// Takes in the next picture.
    pub(super) fn push(&mut self, picture: &RgbaImage) -> Result<(), Error> {
        self.planes.fill(picture);
        let [width, height] = self.planes.size;
        let planes = (&self.planes.y[..], &self.planes.u[..], &self.planes.v[..]);
        let source = YUVSlices::new(planes, (width, height), (width, width / 2, width / 2));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a film of hours fits")]
        let time = (self.track.frames.len() as f64 / self.fps * 1000.0).round() as u64;
        let coded = self.encoder.encode_at(&source, Timestamp::from_millis(time))?;
        let is_key = matches!(coded.frame_type(), FrameType::IDR | FrameType::I);
        self.track.push(&coded.to_vec(), is_key);
        Ok(())
    }

    /// What it has made.
    pub(super) fn finish(self) -> Track {
        self.track
    }
}

/// Brightness of every pixel, colour of every four.
struct Planes {
    size: [usize; 2],
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Planes {
    fn new(size: [u32; 2]) -> Self {
        let [width, height] = size.map(|n| n as usize);
        let quarter = width * height / 4;
        Self {
            size: [width, height],
            y: vec![0; width * height],
            u: vec![128; quarter],
            v: vec![128; quarter],
        }
    }

    /// Colours of a picture that is as large, or smaller by a pixel: the last is then repeated.
    fn fill(&mut self, picture: &RgbaImage) {
        let width = self.size[0];
        let (w, h) = picture.dimensions();
        let at = |x: usize, y: usize| -> [f32; 3] {
            let within = |v: usize, n: u32| u32::try_from(v).unwrap_or(u32::MAX).min(n.saturating_sub(1));
            let (x, y) = (within(x, w), within(y, h));
            let [r, g, b, _] = picture.get_pixel(x, y).0;
            [r, g, b].map(|c| f32::from(c) / 255.0)
        };
        let rows = self.y.par_chunks_mut(width * 2).zip(self.u.par_chunks_mut(width / 2));
        rows.zip(self.v.par_chunks_mut(width / 2)).enumerate().for_each(|(pair, ((luma, u), v))| {
            for (k, (u, v)) in u.iter_mut().zip(v).enumerate() {
                let mut mean = [0.0f32; 3];
                for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    let rgb = at(2 * k + dx, 2 * pair + dy);
                    if let Some(cell) = luma.get_mut(dy * width + 2 * k + dx) {
                        *cell = byte(16.0 + 219.0 * brightness(rgb));
                    }
                    mean.iter_mut().zip(rgb).for_each(|(sum, c)| *sum += 0.25 * c);
                }
                let bright = brightness(mean);
                *u = byte(128.0 + 224.0 * (mean[2] - bright) / 1.8556);
                *v = byte(128.0 + 224.0 * (mean[0] - bright) / 1.5748);
            }
        });
    }
}

/// Brightness after BT.709, 0 to 1.
fn brightness([r, g, b]: [f32; 3]) -> f32 {
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_norm() {
        // BT.709, limited range: white, black, red (Rec. ITU-R BT.709-6: Y 63, Cb 102, Cr 240).
        for (rgb, yuv) in
            [([255, 255, 255], [235, 128, 128]), ([0, 0, 0], [16, 128, 128]), ([255, 0, 0], [63, 102, 240])]
        {
            let [r, g, b] = rgb;
            let mut planes = Planes::new([4, 4]);
            planes.fill(&RgbaImage::from_pixel(3, 3, image::Rgba([r, g, b, 255])));
            assert_eq!([planes.y[15], planes.u[3], planes.v[3]], yuv, "{rgb:?}");
        }
    }
}
