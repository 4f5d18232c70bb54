//! Export: labels, meshes, volumes, tables and pictures, each through one dialog with a path field.

use super::super::frame::Cx;
use super::super::state::{Dialog, ViewId};
use super::super::widgets::{self, Button};
use super::super::{dialogs, icons};
use super::{figure, film};
use crate::ops::Data;
use crate::project::{Content, Layer, Project};
use crate::session::{ExportKind, MeshFormat};

/// A path in the folder where people keep their documents.
pub(crate) fn in_documents(name: &str) -> String {
    let folder = directories::UserDirs::new().and_then(|dirs| {
        dirs.document_dir().map(std::path::Path::to_path_buf).or(Some(dirs.home_dir().to_path_buf()))
    });
    folder.unwrap_or_default().join(name).display().to_string()
}

/// Whether a layer can be written to a file.
pub(crate) fn can_export(layer: &Layer) -> bool {
    !matches!(layer.content, Content::Missing(_))
}

fn form(layer: &Layer, kind: ExportKind, title: &str, hint: &str, extension: &str) -> Dialog {
    let name: String =
        layer.name.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    Dialog::Write(dialogs::WriteForm {
        what: dialogs::WriteWhat::Layer(layer.id, kind),
        title: title.to_owned(),
        hint: hint.to_owned(),
        path: in_documents(&format!("{name}{extension}")),
    })
}

/// The dialog that writes a layer as it is.
pub(crate) fn layer_form(layer: &Layer) -> Dialog {
    let (hint, extension) = match &layer.content {
        Content::Labels(_) => {
            ("The ending says the format: .mrc, .tif, .npy, or .zarr for OME-Zarr labels", ".mrc")
        }
        Content::Alignment(_) => (
            "The ending says the format: .json, .xf, .tlt (tilts alone), .aln, or .mod (beads alone)",
            ".json",
        ),
        Content::Other(Data::Classifier(_)) => {
            ("A JSON file for Predict, here or on the command line", ".json")
        }
        Content::Other(_) => ("A CSV file", ".csv"),
        _ => ("The ending says the format: .mrc, .tif, .npy, or .zarr for OME-Zarr", ".mrc"),
    };
    let kind = match &layer.content {
        Content::Other(Data::Classifier(_)) => ExportKind::Classifier,
        Content::Other(_) => ExportKind::Table,
        _ => ExportKind::Layer,
    };
    form(layer, kind, &format!("Export {}", layer.name), hint, extension)
}

/// The dialog that writes a picture of a view.
pub(crate) fn picture_form(project: &Project, view: ViewId, label: &str) -> dialogs::WriteForm {
    let file = label.to_lowercase().replace(' ', "_");
    dialogs::WriteForm {
        what: dialogs::WriteWhat::Picture(view),
        title: format!("Save picture of {label}"),
        hint: "A PNG file of the view as it is on the screen, with its scale bar".to_owned(),
        path: in_documents(&format!("{}_{file}.png", project.name)),
    }
}

/// Draws the inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let session = cx.session;
    let project = session.project();
    pictures(ui, cx);
    if cx.facts.volume {
        widgets::divider(ui);
        figure::show(ui, cx);
        widgets::divider(ui);
        film::show(ui, cx);
    }
    let labels: Vec<&Layer> = project.from_top().filter(|l| l.labels().is_some()).collect();
    widgets::divider(ui);
    widgets::heading(ui, "Labels");
    if labels.is_empty() {
        widgets::hint(ui, "There are no labels yet. Segment makes them.");
    }
    for layer in labels {
        item(
            ui,
            &layer.name,
            "Labels as MRC, TIFF or OME-Zarr",
            icons::SHAPES,
            "Export labels",
            || layer_form(layer),
            cx,
        );
        item(
            ui,
            &format!("{}: origin of labels", layer.name),
            "Which voxels were painted, interpolated, predicted, accepted, imported or computed, as labels",
            icons::FINGERPRINT,
            "Export origin of labels",
            || {
                form(
                    layer,
                    ExportKind::Marks,
                    "Export origin of labels",
                    "1 painted, 2 interpolated, 3 predicted, 4 accepted, 5 imported, 6 computed",
                    "_origin.mrc",
                )
            },
            cx,
        );
        item(
            ui,
            &format!("{}: meshes, PLY", layer.name),
            "A mesh for each class, vertices in µm",
            icons::BOUNDING_BOX,
            "Export PLY meshes",
            || {
                form(
                    layer,
                    ExportKind::Meshes(MeshFormat::Ply),
                    "Export meshes",
                    "A folder that gets CLASS.ply for each class",
                    "_meshes_ply",
                )
            },
            cx,
        );
        item(
            ui,
            &format!("{}: meshes, STL", layer.name),
            "A mesh for each class, vertices in µm",
            icons::BOUNDING_BOX,
            "Export STL meshes",
            || {
                form(
                    layer,
                    ExportKind::Meshes(MeshFormat::Stl),
                    "Export meshes",
                    "A folder that gets CLASS.stl for each class",
                    "_meshes_stl",
                )
            },
            cx,
        );
    }
    let others: Vec<&Layer> = project
        .from_top()
        .filter(|l| {
            matches!(
                l.content,
                Content::Volume(_)
                    | Content::Alignment(_)
                    | Content::Other(Data::Table(_) | Data::Classifier(_))
            )
        })
        .collect();
    if others.is_empty() {
        return;
    }
    widgets::divider(ui);
    widgets::heading(ui, "Volumes, tables, classifiers");
    for layer in others {
        let name = format!("Export {}", layer.name);
        item(ui, &layer.name, &layer.content.words(), icons::CUBE, &name, || layer_form(layer), cx);
    }
}

fn pictures(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Pictures");
    if !cx.facts.volume {
        widgets::hint(ui, "Pictures need a volume: reconstruct the scan first.");
        return;
    }
    // Two in a row whatever they are called: what is below stays where it is when a view shows something else.
    for pair in cx.view.views.ids().collect::<Vec<_>>().chunks(2) {
        ui.columns(2, |columns| {
            for (ui, view) in columns.iter_mut().zip(pair) {
                let label = cx.view.label(*view);
                let name = format!("Save picture of {label}");
                if Button::new(&label).icon(icons::CAMERA).fill_width().name(&name).show(ui).clicked() {
                    cx.view.dialog = Some(Dialog::Write(picture_form(cx.session.project(), *view, &label)));
                }
            }
        });
    }
}

fn item(
    ui: &mut egui::Ui,
    label: &str,
    tooltip: &str,
    icon: &str,
    name: &str,
    dialog: impl FnOnce() -> Dialog,
    cx: &mut Cx<'_>,
) {
    let button = Button::new(label).icon(icon).quiet().fill_width().name(name);
    if button.show(ui).on_hover_text(tooltip).clicked() {
        cx.view.dialog = Some(dialog());
    }
}
