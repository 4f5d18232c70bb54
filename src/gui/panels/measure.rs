//! Measure: the table of classes or objects, sorted by a click, copied or written as CSV.

use egui_extras::{Column, TableBuilder};

use super::super::commands::CommandId;
use super::super::frame::Cx;
use super::super::state::{self, Dialog, Queue, ViewState};
use super::super::widgets::{self, Button};
use super::super::{dialogs, icons, theme};
use super::operation;
use crate::ops::{self, Data};
use crate::project::{Content, Layer, LayerId, Project};
use crate::session::{Command, ExportKind, Session};
use crate::volume::table::{Cell, Table};

/// Layers that hold a table, newest first.
pub(crate) fn tables(project: &Project) -> Vec<(&Layer, &Table)> {
    // Curves have a place of their own.
    let measured = project.from_top().filter(|layer| layer.provenance.op != "fsc");
    measured.filter_map(|layer| table_of(layer).map(|table| (layer, table))).collect()
}

fn table_of(layer: &Layer) -> Option<&Table> {
    match &layer.content {
        Content::Other(Data::Table(table)) => Some(table),
        _ => None,
    }
}

/// Volume and labels that would be measured.
fn inputs(session: &Session, view: &ViewState) -> Option<Vec<(String, LayerId)>> {
    let project = session.project();
    let op = ops::find("measure")?;
    let volume = state::main_volume(project, view)?.id;
    let labels =
        state::paint_layer(project, view).or_else(|| project.from_top().find(|l| l.labels().is_some()))?.id;
    Some(
        op.inputs
            .iter()
            .filter_map(|slot| match slot.kind {
                ops::Kind::Volume => Some((slot.name.to_owned(), volume)),
                ops::Kind::Labels => Some((slot.name.to_owned(), labels)),
                _ => None,
            })
            .collect(),
    )
}

/// Starts measuring with what the form says.
pub(crate) fn start(session: &Session, view: &ViewState, queue: &mut Queue) {
    let Some(inputs) = inputs(session, view) else { return };
    let params = view.forms.get("measure").cloned().unwrap_or(serde_json::Value::Null);
    queue.session(Command::StartOp { op: "measure".to_owned(), params, inputs, name: None });
}

/// Draws the inspector.
pub(crate) fn show(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    widgets::heading(ui, "Measure");
    let session = cx.session;
    let Some(inputs) = inputs(session, cx.view) else {
        widgets::hint(
            ui,
            "Measuring needs a volume and labels: paint or classify in Segment first, or open labels.",
        );
        return;
    };
    let Some(op) = ops::find("measure") else { return };
    widgets::hint(ui, op.summary);
    let params = operation::form(ui, op, &[], cx);
    let forecast = session.forecast(op.id, &params, &inputs);
    if operation::start_button(ui, "Measure", &[op.label], Some(&forecast), cx) {
        cx.queue.run(CommandId::Measure);
    }
}

/// Whether there is a table to show.
pub(crate) fn has_table(cx: &Cx<'_>) -> bool {
    !tables(cx.session.project()).is_empty()
}

/// The chosen table, else the newest.
pub(crate) fn results(ui: &mut egui::Ui, cx: &mut Cx<'_>) {
    let session = cx.session;
    let found = tables(session.project());
    let chosen = found.iter().find(|(layer, _)| Some(layer.id) == cx.view.layer).or_else(|| found.first());
    let Some((layer, table)) = chosen else { return };
    // The panel keeps the height that it was given, however little the table needs.
    ui.set_min_height(ui.available_height());
    widgets::heading_row(ui, &layer.name, |ui| {
        if widgets::icon_button(ui, icons::EXPORT, "Save table as CSV", "Writes the table as CSV").clicked() {
            cx.view.dialog = Some(Dialog::Write(dialogs::WriteForm {
                what: dialogs::WriteWhat::Layer(layer.id, ExportKind::Table),
                title: "Save table".to_owned(),
                hint: "A CSV file; units are part of the column names".to_owned(),
                path: super::export::in_documents(&format!("{}.csv", layer.name)),
            }));
        }
        if widgets::icon_button(
            ui,
            icons::COPY,
            "Copy table",
            "Copies the table, to paste into a spreadsheet",
        )
        .clicked()
        {
            ui.ctx().copy_text(table.to_csv().replace(',', "\t"));
        }
    });
    grid(ui, layer, table, cx);
    for note in &table.notes {
        widgets::hint(ui, &operation::sentence(note));
    }
}

/// Whether a column is a share of something, which is read in per cent.
fn is_share(column: &str) -> bool {
    let quantity = column.trim_end_matches("_se");
    quantity == "share" || quantity.ends_with("_share") || quantity.contains("fraction")
}

/// The value of a cell as its column has it.
fn value_text(column: &str, cell: &Cell) -> String {
    match cell {
        Cell::Number(value) if is_share(column) => cell_text(&Cell::Number(value * 100.0)),
        cell => cell_text(cell),
    }
}

/// A number with the digits it deserves.
fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Integer(value) => grouped(*value),
        Cell::Number(value) if value.is_finite() => {
            let magnitude = value.abs();
            if magnitude == 0.0 {
                "0".to_owned()
            } else if (0.001..1e6).contains(&magnitude) {
                let digits = (3 - magnitude.max(1e-3).log10().floor() as i32).clamp(0, 5) as usize;
                format!("{value:.digits$}")
            } else {
                format!("{value:.2e}")
            }
        }
        cell => cell.text(),
    }
}

/// A whole number in groups of three digits, from five digits on.
fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let sign = if value < 0 { "-" } else { "" };
    if digits.len() < 5 {
        return format!("{sign}{digits}");
    }
    let groups: Vec<&str> = (0..digits.len().div_ceil(3))
        .rev()
        .filter_map(|k| digits.get(digits.len().saturating_sub(3 * k + 3)..digits.len() - 3 * k))
        .collect();
    format!("{sign}{}", groups.join("\u{2009}"))
}

/// A column's name as a person reads it: "lac_mean_per_um" becomes "LAC mean, 1/µm".
fn header(column: &crate::volume::table::Column) -> String {
    let (name, said) = (&column.name, if is_share(&column.name) { "%" } else { &column.unit });
    let (base, unit) = [("_per_um", "1/µm"), ("_um3", "µm³"), ("_um2", "µm²"), ("_um", "µm")]
        .into_iter()
        .find_map(|(suffix, unit)| name.strip_suffix(suffix).map(|base| (base, unit)))
        .unwrap_or((name, said));
    let words = if base == "sd" { "s.d." } else { base };
    let words = words.replace('_', " ").replace("lac", "LAC").replace(" sd", " s.d.");
    let words = operation::sentence(&words);
    if unit.is_empty() { words } else { format!("{words}, {unit}") }
}

/// Room for the column of names: as much as they need and the other columns leave.
fn name_room(ui: &egui::Ui, names: &[String], others: f32) -> f32 {
    let widest = names.iter().map(|name| widgets::text_width(ui, name)).fold(0.0, f32::max);
    let free = ui.available_width() - others - 24.0;
    (widest + 10.0 + 2.0 * widgets::PAD + 8.0).min(free.max(240.0)).clamp(150.0, 420.0)
}

/// Room of a column of numbers: as much as its header needs, with the arrow of a sorted one.
fn number_room(ui: &egui::Ui, column: &crate::volume::table::Column) -> f32 {
    (widgets::text_width(ui, &header(column)) + 2.0 * widgets::PAD + 24.0).max(112.0)
}

fn order(a: &Cell, b: &Cell) -> std::cmp::Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.text().cmp(&b.text()),
    }
}

/// The table with sortable headers; the colour of a class in front of its name.
fn grid(ui: &mut egui::Ui, layer: &Layer, table: &Table, cx: &mut Cx<'_>) {
    let t = theme::of(ui);
    let mut rows: Vec<usize> = (0..table.rows.len()).collect();
    // Classes without a voxel come last.
    let voxels = table.column("voxels");
    let is_empty = |row: usize| {
        let cell = voxels.and_then(|column| table.rows.get(row)?.get(column)?.as_f64());
        cell == Some(0.0)
    };
    rows.sort_by_key(|row| is_empty(*row));
    if let Some((column, down)) = cx.view.sort {
        rows.sort_by(|a, b| {
            let cell = |row: &usize| table.rows.get(*row).and_then(|cells| cells.get(column));
            let by = match (cell(a), cell(b)) {
                (Some(a), Some(b)) => order(a, b),
                _ => std::cmp::Ordering::Equal,
            };
            if down { by.reverse() } else { by }
        });
    }
    let session = cx.session;
    let classes = &session.project().classes;
    let class_column = table.column("class");
    let name_column = table.column("name");
    // A table of classes has no objects to number.
    let empty = |column: usize| {
        let value = |row: &Vec<Cell>| row.get(column).and_then(Cell::as_f64).unwrap_or(0.0);
        table.column("object") == Some(column) && table.rows.iter().all(|row| value(row) == 0.0)
    };
    let shown: Vec<usize> =
        (0..table.columns.len()).filter(|c| Some(*c) != class_column && !empty(*c)).collect();
    let names: Vec<String> = shown.first().map_or_else(Vec::new, |first| {
        table.rows.iter().filter_map(|row| row.get(*first)).map(Cell::text).collect()
    });
    let value = |column: usize, cell: &Cell| {
        value_text(table.columns.get(column).map_or("", |info| info.name.as_str()), cell)
    };
    let numbers: Vec<f32> = shown
        .iter()
        .skip(1)
        .filter_map(|column| table.columns.get(*column))
        .map(|column| number_room(ui, column))
        .collect();
    let gap = ui.spacing().item_spacing.x;
    let name_width = name_room(ui, &names, numbers.iter().map(|width| width + gap).sum());
    let height = (ui.available_height() - 44.0).max(48.0);
    let centered = egui::Layout::left_to_right(egui::Align::Center);
    egui::ScrollArea::horizontal().id_salt(("table", layer.id.0)).show(ui, |ui| {
        let resizable =
            |width: f32, least: f32| Column::initial(width).at_least(least).clip(true).resizable(true);
        let mut builder = TableBuilder::new(ui)
            .striped(true)
            .cell_layout(centered)
            .min_scrolled_height(height)
            .max_scroll_height(height)
            .column(resizable(name_width, 90.0));
        for width in numbers {
            builder = builder.column(resizable(width, 60.0));
        }
        builder
            .header(24.0, |mut head| {
                for column in &shown {
                    let Some(info) = table.columns.get(*column) else { continue };
                    head.col(|ui| {
                        let sorted = cx.view.sort.filter(|(c, _)| c == column);
                        let text = header(info);
                        let icon = match sorted {
                            Some((_, true)) => icons::CARET_DOWN,
                            Some((_, false)) => icons::CARET_UP,
                            None => "",
                        };
                        let name = format!("Sort by {}", info.name);
                        if Button::new(&text).icon(icon).quiet().height(22.0).name(&name).show(ui).clicked() {
                            cx.view.sort = Some((*column, sorted.is_none_or(|(_, down)| !down)));
                        }
                    });
                }
            })
            .body(|body| {
                body.rows(24.0, rows.len(), |mut line| {
                    let Some(cells) = rows.get(line.index()).and_then(|row| table.rows.get(*row)) else {
                        return;
                    };
                    for column in &shown {
                        let Some(cell) = cells.get(*column) else { continue };
                        line.col(|ui| {
                            ui.add_space(widgets::PAD);
                            if Some(*column) == name_column {
                                let id = class_column.and_then(|c| cells.get(c)).and_then(Cell::as_f64);
                                if let Some(class) = id.and_then(|id| classes.get(id as u16)) {
                                    let (rect, _) =
                                        ui.allocate_exact_size(egui::vec2(10.0, 10.0), egui::Sense::hover());
                                    ui.painter().rect_filled(rect, 2, theme::class_color(class.color));
                                }
                            }
                            ui.add(
                                egui::Label::new(
                                    egui::RichText::new(value(*column, cell)).color(t.text_strong),
                                )
                                .truncate(),
                            );
                        });
                    }
                });
            });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_carry_their_units() {
        let header = |name: &str, unit: &str| header(&crate::volume::table::Column::new(name, unit));
        assert_eq!(header("lac_mean_per_um", ""), "LAC mean, 1/µm");
        assert_eq!(header("volume_um3", "µm³"), "Volume, µm³");
        assert_eq!(header("sphericity", ""), "Sphericity");
        assert_eq!(header("low", "1/µm"), "Low, 1/µm");
        assert_eq!(header("sd", "1/µm"), "S.d., 1/µm");
        assert_eq!(header("share", ""), "Share, %");
    }

    #[test]
    fn numbers_have_four_digits() {
        assert_eq!(cell_text(&Cell::Number(0.36123)), "0.3612");
        assert_eq!(cell_text(&Cell::Number(123.456)), "123.5");
        assert_eq!(value_text("share", &Cell::Number(0.006_79)), "0.6790");
        let whole = |value| cell_text(&Cell::Integer(value));
        assert_eq!(whole(9999), "9999");
        assert_eq!(whole(113_850), "113\u{2009}850");
        assert_eq!(whole(-1_113_850), "-1\u{2009}113\u{2009}850");
    }
}
