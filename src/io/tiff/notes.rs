//! What a page says beside its values that is not acted on: turned pictures, pyramids, values for no data, scales.

use std::fs::File;

use super::chain::Chain;
use super::container::{Container, Directory};
use super::page::{no_data, tag};

/// Sentences about the page at `from`, and about the pages of its file.
pub(super) fn notes(
    container: &Container,
    file: &File,
    from: &Directory,
    chain: Option<&Chain>,
) -> Vec<String> {
    let n_levels = from.n_values(tag::SUB_IFDS);
    let pyramid = (n_levels > 0)
        .then(|| format!("a pyramid of {} levels; the finest was read", n_levels.saturating_add(1)));
    let turned = chain.and_then(|chain| chain.turned).map(|(orientation, n)| turned(orientation, n));
    let no_data = no_data(container, file, from).map(|value| {
        format!("values of {value} mean no data in this file (GDAL_NODATA); they were read as they are")
    });
    [pyramid, turned, no_data, gdal_scale(container, file, from)].into_iter().flatten().collect()
}

/// How a picture of an orientation (1 to 8, of TIFF and Exif alike) is to be shown; `None` for one that is shown as stored.
pub(in crate::io) fn shown(orientation: u64) -> Option<&'static str> {
    Some(match orientation {
        2 => "mirrored, left for right",
        3 => "turned by 180°",
        4 => "mirrored, top for bottom",
        5 => "with rows and columns exchanged",
        6 => "turned by 90° to the right",
        7 => "with rows and columns exchanged and turned by 180°",
        8 => "turned by 90° to the left",
        _ => return None,
    })
}

fn turned(orientation: u64, n: usize) -> String {
    let how = shown(orientation).unwrap_or_default();
    format!(
        "{n} pages are to be shown {how} (orientation {orientation}); rows and columns were read as they are stored, turn them with --axes where it matters"
    )
}

/// What GDAL says of the values' scale.
fn gdal_scale(container: &Container, file: &File, from: &Directory) -> Option<String> {
    let text = container.text(file, from, tag::GDAL_METADATA)?;
    let options = roxmltree::ParsingOptions { nodes_limit: 10_000, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(text.trim(), options).ok()?;
    let number = |role: &str| {
        let item = document.descendants().find(|node| node.attribute("role") == Some(role))?;
        item.text()?.trim().parse::<f64>().ok()
    };
    let (scale, offset) = (number("scale").unwrap_or(1.0), number("offset").unwrap_or(0.0));
    ((scale, offset) != (1.0, 0.0)).then(|| {
        format!(
            "GDAL takes these values as {offset} + {scale} × stored; the stored values were read, without it"
        )
    })
}
