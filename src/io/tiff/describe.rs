//! What the description of a TIFF says: ImageJ's lines, OME-XML, and our own line of JSON.

use crate::io::format::Header;
use crate::io::sidecar::Sidecar;

/// What precedes our own JSON in a description.
pub(super) const OWN_LINE: &str = "waterwindow=";

/// How the pages of a file make up channels, planes and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pages {
    pub(super) n_channels: usize,
    pub(super) n_planes: usize,
    /// Pages from one channel to the next.
    pub(super) channel_step: usize,
    /// Pages from one plane to the next.
    pub(super) plane_step: usize,
}

/// A parsed description.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Description {
    /// Order of the pages; `None` where each page is a plane.
    pub(super) pages: Option<Pages>,
    /// Size along z, y, x in µm as far as it is said; x and y of ImageJ stand in the resolution tags.
    pub(super) voxel_um: [Option<f64>; 3],
    /// µm in ImageJ's unit, in which the resolution tags count too.
    pub(super) um_per_unit: Option<f64>,
    /// Number of images that ImageJ promises; more than pages where it wrote one directory only.
    pub(super) n_images: Option<usize>,
    /// Our own JSON.
    pub(super) own: Option<Sidecar>,
}

/// Parses a description of any kind.
pub(super) fn parse(text: &str) -> Description {
    if text.contains("<OME") {
        return ome_xml(text);
    }
    if text.starts_with("ImageJ=") {
        return image_j(text);
    }
    Description::default()
}

fn um_per(unit: &str) -> Option<f64> {
    match unit.trim() {
        "um" | "µm" | "μm" | "micron" | "microns" | "micrometer" | "\\u00B5m" | "\\u00b5m" | "&#181;m" => {
            Some(1.0)
        }
        "nm" | "nanometer" => Some(1e-3),
        "mm" | "millimeter" => Some(1e3),
        "cm" => Some(1e4),
        "m" => Some(1e6),
        "Å" | "angstrom" | "A" => Some(1e-4),
        _ => None,
    }
}

fn image_j(text: &str) -> Description {
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::trim));
    let count = |name: &str| field(name).and_then(|v| v.parse::<usize>().ok()).filter(|n| *n > 0);
    let um = field("unit").and_then(um_per);
    let spacing = field("spacing").and_then(|v| v.parse::<f64>().ok()).filter(|v| v.is_finite() && *v > 0.0);
    let n_channels = count("channels").unwrap_or(1);
    let n_images = count("images");
    // A time series without slices is read as planes.
    let n_planes = count("slices").or_else(|| count("frames")).unwrap_or(1);
    let is_hyper = count("channels").is_some() || count("slices").is_some();
    Description {
        pages: is_hyper.then_some(Pages { n_channels, n_planes, channel_step: 1, plane_step: n_channels }),
        voxel_um: [um.zip(spacing).map(|(um, spacing)| um * spacing), None, None],
        um_per_unit: um,
        n_images,
        own: field(OWN_LINE.trim_end_matches('=')).and_then(|json| serde_json::from_str(json).ok()),
    }
}

/// The value of an attribute in the text of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    loop {
        let at = rest.find(name)?;
        let before = rest[..at].chars().next_back();
        rest = &rest[at + name.len()..];
        let value = rest.trim_start().strip_prefix('=').map(str::trim_start);
        if let Some(value) = value
            && before.is_some_and(char::is_whitespace)
        {
            let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'')?;
            return value[1..].split(quote).next();
        }
    }
}

/// The first `Pixels` element of OME-XML: sizes, order of the pages and physical size.
fn ome_xml(text: &str) -> Description {
    let tag = ["<Pixels ", "<Pixels\n", "<ome:Pixels "]
        .iter()
        .find_map(|start| text.split_once(start))
        .and_then(|(_, rest)| rest.split('>').next())
        .map(|tag| format!(" {tag}"));
    let Some(tag) = tag else { return Description::default() };
    let count = |name: &str| attribute(&tag, name).and_then(|v| v.parse::<usize>().ok()).filter(|n| *n > 0);
    let size = |axis: &str| {
        let value: f64 = attribute(&tag, &format!("PhysicalSize{axis}"))?.parse().ok()?;
        let unit = attribute(&tag, &format!("PhysicalSize{axis}Unit")).unwrap_or("µm");
        Some(value * um_per(unit)?).filter(|v| v.is_finite() && *v > 0.0)
    };
    let (nz, nc, nt) = (count("SizeZ"), count("SizeC"), count("SizeT"));
    let order = attribute(&tag, "DimensionOrder").unwrap_or("XYZCT");
    let pages = nz.zip(nc).map(|(nz, nc)| {
        let nt = nt.unwrap_or(1);
        let (mut z_step, mut c_step, mut step) = (1usize, 1usize, 1usize);
        for axis in order.chars().skip(2) {
            let n = match axis {
                'Z' => {
                    z_step = step;
                    nz
                }
                'C' => {
                    c_step = step;
                    nc
                }
                _ => nt,
            };
            step = step.saturating_mul(n);
        }
        Pages { n_channels: nc, n_planes: nz, channel_step: c_step, plane_step: z_step }
    });
    Description { pages, voxel_um: [size("Z"), size("Y"), size("X")], ..Description::default() }
}

impl Description {
    /// Lets a header say what the description and the resolution tags say.
    ///
    /// `pixels_per_unit`: the tags XResolution and YResolution in ImageJ's unit, or `um_per_tag` µm of their own.
    pub(super) fn apply(self, header: &mut Header, per_unit_xy: [Option<f64>; 2], um_per_tag: Option<f64>) {
        let um = self.um_per_unit.or(um_per_tag);
        let from_tag = |per_unit: Option<f64>| {
            let size = um? / per_unit?;
            (size.is_finite() && size > 0.0).then(|| format!("{size:.6e}").parse().ok())?
        };
        let x = self.voxel_um[2].or_else(|| from_tag(per_unit_xy[0]));
        let y = self.voxel_um[1].or_else(|| from_tag(per_unit_xy[1])).or(x);
        if let Some((y, x)) = y.zip(x) {
            let z = self.voxel_um[0].unwrap_or(x);
            if self.voxel_um[0].is_none() && header.shape[0] > 1 {
                header
                    .warnings
                    .push(format!("no spacing of the planes in the file, {z} µm as in x was assumed"));
            }
            header.voxel_um = Some([z, y, x]);
        }
        if let Some(own) = self.own {
            own.apply(header);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_j_and_ome_descriptions_are_understood() {
        let found = parse(
            "ImageJ=1.54f\nimages=12\nchannels=3\nslices=4\nhyperstack=true\nunit=\\u00B5m\nspacing=0.25\n",
        );
        assert_eq!(found.pages, Some(Pages { n_channels: 3, n_planes: 4, channel_step: 1, plane_step: 3 }));
        assert_eq!(found.voxel_um[0], Some(0.25));
        let xml = r#"<?xml version="1.0"?><OME xmlns="x"><Image ID="Image:0"><Pixels BigEndian="false" DimensionOrder="XYZCT" ID="Pixels:0"
            PhysicalSizeX="65" PhysicalSizeXUnit="nm" PhysicalSizeY="0.065" PhysicalSizeZ="0.2" SizeC="2" SizeT="1" SizeX="8" SizeY="9" SizeZ="5" Type="uint16"><Channel/></Pixels></Image></OME>"#;
        let found = parse(xml);
        assert_eq!(found.pages, Some(Pages { n_channels: 2, n_planes: 5, channel_step: 5, plane_step: 1 }));
        assert_eq!(found.voxel_um[0], Some(0.2));
        assert!((found.voxel_um[2].unwrap() - 0.065).abs() < 1e-12, "{found:?}");
        for odd in [
            "<OME",
            "<OME><Pixels SizeZ=",
            "<OME><Pixels SizeZ=\"",
            "ImageJ=",
            "\u{b5}<OME <Pixels \u{b5}SizeZ=\"1",
        ] {
            assert_eq!(parse(odd).pages, None, "{odd}");
        }
    }
}
