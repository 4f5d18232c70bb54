//! The one place with colours, sizes and fonts: tokens for dark and light, and the egui style made of them.
//!
//! Quiet greys, three strengths of text, one accent. Sizes lie on a grid of four pixels. Data
//! views stay on neutral black or grey in both themes, so that grey values are judged alike.

use std::sync::Arc;

use egui::{
    Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Shadow, Stroke, TextStyle,
    Visuals, vec2,
};

/// Corner radius of buttons, fields and cards.
pub(crate) const RADIUS: u8 = 5;
/// The step of all distances.
pub(crate) const GRID: f32 = 4.0;
/// Height of buttons, fields and rows.
pub(crate) const ROW: f32 = 24.0;
/// Height of the bar at the top.
pub(crate) const TOP_BAR: f32 = 44.0;
/// Height of the bar at the bottom.
pub(crate) const STATUS_BAR: f32 = 26.0;
/// Height of a view's title bar.
pub(crate) const VIEW_TITLE: f32 = 26.0;
/// Seconds that opening and closing take.
pub(crate) const ANIMATION: f32 = 0.12;

/// Colours of one theme.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tokens {
    /// Behind everything: gutters between panels and views.
    pub(crate) ground: Color32,
    /// Panels and bars.
    pub(crate) panel: Color32,
    /// Buttons, cards, popups.
    pub(crate) raised: Color32,
    /// Under the pointer.
    pub(crate) hover: Color32,
    /// Pressed or open.
    pub(crate) pressed: Color32,
    /// Text fields, tracks, histogram: set into the panel.
    pub(crate) inset: Color32,
    /// Lines between areas.
    pub(crate) line: Color32,
    /// Headlines, values.
    pub(crate) text_strong: Color32,
    /// Body text.
    pub(crate) text: Color32,
    /// Labels, hints, units.
    pub(crate) text_weak: Color32,
    /// The one accent.
    pub(crate) accent: Color32,
    /// The accent under the pointer.
    pub(crate) accent_hover: Color32,
    /// Text on the accent.
    pub(crate) on_accent: Color32,
    /// A quiet fill of the accent: selection.
    pub(crate) accent_soft: Color32,
    /// Done, good.
    pub(crate) success: Color32,
    /// Look here.
    pub(crate) warning: Color32,
    /// Failed.
    pub(crate) error: Color32,
    /// Shadows under popups.
    pub(crate) shadow: Color32,
    /// Behind a dialog.
    pub(crate) backdrop: Color32,
    /// Behind data, neutral.
    pub(crate) canvas: Color32,
    /// Text and lines over data.
    pub(crate) on_canvas: Color32,
    /// Weak text over data.
    pub(crate) on_canvas_weak: Color32,
    /// Halo around text and lines over data.
    pub(crate) canvas_halo: Color32,
    /// Axes x, y, z: crosshair and orientation.
    pub(crate) axes: [Color32; 3],
}

const fn rgb(hex: u32) -> Color32 {
    Color32::from_rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

/// Vermilion, green and blue that colour-blind people tell apart by hue and lightness.
const AXES: [Color32; 3] = [rgb(0xF0_6A_3C), rgb(0x4F_C9_8A), rgb(0x5A_A6_FF)];

/// The dark theme.
pub(crate) const DARK: Tokens = Tokens {
    ground: rgb(0x0E_0F_11),
    panel: rgb(0x18_19_1C),
    raised: rgb(0x26_28_2C),
    hover: rgb(0x30_33_38),
    pressed: rgb(0x38_3C_42),
    inset: rgb(0x10_11_13),
    line: rgb(0x2A_2C_30),
    text_strong: rgb(0xEE_F0_F2),
    text: rgb(0xBF_C3_C9),
    text_weak: rgb(0x85_8B_94),
    accent: rgb(0x3C_B8_E0),
    accent_hover: rgb(0x5F_C9_EA),
    on_accent: rgb(0x06_1C_24),
    accent_soft: rgb(0x17_3A_48),
    success: rgb(0x57_C0_8C),
    warning: rgb(0xE6_B0_4A),
    error: rgb(0xF0_74_6A),
    shadow: Color32::from_black_alpha(110),
    backdrop: Color32::from_black_alpha(120),
    canvas: rgb(0x06_06_06),
    on_canvas: rgb(0xE8_E8_E8),
    on_canvas_weak: rgb(0xA0_A0_A0),
    canvas_halo: Color32::from_black_alpha(170),
    axes: AXES,
};

/// The light theme. Data stay on the same neutral black.
pub(crate) const LIGHT: Tokens = Tokens {
    ground: rgb(0xD9_DC_E0),
    panel: rgb(0xF6_F7_F8),
    raised: rgb(0xE6_E8_EB),
    hover: rgb(0xDA_DD_E2),
    pressed: rgb(0xCC_D1_D8),
    inset: rgb(0xFF_FF_FF),
    line: rgb(0xD4_D7_DC),
    text_strong: rgb(0x16_18_1B),
    text: rgb(0x3B_40_47),
    text_weak: rgb(0x69_70_7A),
    accent: rgb(0x0A_7B_A8),
    accent_hover: rgb(0x0C_8E_C1),
    on_accent: rgb(0xFF_FF_FF),
    accent_soft: rgb(0xCB_E6_F1),
    success: rgb(0x1C_7F_4E),
    warning: rgb(0x9A_65_00),
    error: rgb(0xB8_32_2A),
    shadow: Color32::from_black_alpha(40),
    backdrop: Color32::from_black_alpha(70),
    ..DARK
};

/// The tokens of the theme that `ui` is drawn in.
pub(crate) fn of(ui: &egui::Ui) -> &'static Tokens {
    of_visuals(ui.visuals())
}

/// The tokens of what lies over data, which are dark in both themes.
pub(crate) fn over_data() -> &'static Tokens {
    &DARK
}

/// The tokens that belong to these visuals.
pub(crate) fn of_visuals(visuals: &Visuals) -> &'static Tokens {
    if visuals.dark_mode { &DARK } else { &LIGHT }
}

/// A class colour as egui takes it.
pub(crate) fn class_color(rgb: [u8; 3]) -> Color32 {
    Color32::from_rgb(rgb[0], rgb[1], rgb[2])
}

/// A colour given as sRGB with its opacity, for colour bars and previews of data.
pub(crate) fn data_color(rgb: [u8; 3], opacity: f32) -> Color32 {
    let alpha = (opacity.clamp(0.0, 1.0) * 255.0) as u8;
    Color32::from_rgba_unmultiplied(rgb[0], rgb[1], rgb[2], alpha)
}

/// Font of names and buttons that matter.
pub(crate) fn medium(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("medium".into()))
}

/// Font of headings.
pub(crate) fn semibold(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("semibold".into()))
}

/// Font of icons.
pub(crate) fn icon(size: f32) -> FontId {
    FontId::new(size, FontFamily::Name("icons".into()))
}

/// The fonts of the program, all embedded.
pub(crate) fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    let files: [(&str, &'static [u8]); 5] = [
        ("regular", include_bytes!("../../resources/fonts/Inter-Regular.otf")),
        ("medium", include_bytes!("../../resources/fonts/Inter-Medium.otf")),
        ("semibold", include_bytes!("../../resources/fonts/Inter-SemiBold.otf")),
        ("icons", include_bytes!("../../resources/fonts/Phosphor.ttf")),
        ("icons-fill", include_bytes!("../../resources/fonts/Phosphor-Fill.ttf")),
    ];
    for (name, bytes) in files {
        fonts.font_data.insert(name.to_owned(), Arc::new(FontData::from_static(bytes)));
    }
    let mut family = |family: FontFamily, names: &[&str]| {
        fonts.families.insert(family, names.iter().map(|name| (*name).to_owned()).collect());
    };
    family(FontFamily::Proportional, &["regular", "icons"]);
    family(FontFamily::Monospace, &["regular", "icons"]);
    family(FontFamily::Name("medium".into()), &["medium", "icons"]);
    family(FontFamily::Name("semibold".into()), &["semibold", "icons"]);
    family(FontFamily::Name("icons".into()), &["icons", "regular"]);
    family(FontFamily::Name("icons-fill".into()), &["icons-fill", "regular"]);
    fonts
}

/// Brings fonts and both styles into the context.
pub(crate) fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
    for (theme, tokens) in [(egui::Theme::Dark, &DARK), (egui::Theme::Light, &LIGHT)] {
        ctx.style_mut_of(theme, |style| apply(style, theme, tokens));
    }
}

fn apply(style: &mut egui::Style, theme: egui::Theme, t: &Tokens) {
    style.text_styles = [
        (TextStyle::Heading, semibold(16.0)),
        (TextStyle::Body, FontId::proportional(13.0)),
        (TextStyle::Button, FontId::proportional(13.0)),
        (TextStyle::Monospace, FontId::monospace(13.0)),
        (TextStyle::Small, FontId::proportional(11.0)),
    ]
    .into();
    style.animation_time = ANIMATION;
    style.explanation_tooltips = false;
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.45;
    let s = &mut style.spacing;
    s.item_spacing = vec2(2.0 * GRID, GRID + 2.0);
    s.button_padding = vec2(2.0 * GRID + 2.0, 3.0);
    s.interact_size = vec2(28.0, ROW);
    s.icon_width = 16.0;
    s.icon_width_inner = 10.0;
    s.icon_spacing = 6.0;
    s.slider_width = 120.0;
    s.slider_rail_height = 4.0;
    s.combo_width = 96.0;
    s.indent = 12.0;
    s.menu_margin = Margin::same(4);
    s.window_margin = Margin::same(16);
    s.tooltip_width = 300.0;
    s.scroll = egui::style::ScrollStyle::thin();
    style.visuals = visuals(theme, t);
}

fn visuals(theme: egui::Theme, t: &Tokens) -> Visuals {
    let mut v = if theme == egui::Theme::Dark { Visuals::dark() } else { Visuals::light() };
    let radius = CornerRadius::same(RADIUS);
    let none = Stroke::NONE;
    let widget = |fill: Color32, text: Color32, stroke: Stroke| egui::style::WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: stroke,
        corner_radius: radius,
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    v.widgets.noninteractive = widget(t.panel, t.text, Stroke::new(1.0, t.line));
    v.widgets.inactive = widget(t.raised, t.text, none);
    v.widgets.hovered = widget(t.hover, t.text_strong, none);
    v.widgets.active = widget(t.pressed, t.text_strong, none);
    v.widgets.open = widget(t.hover, t.text_strong, none);
    v.selection.bg_fill = t.accent_soft;
    v.selection.stroke = Stroke::new(1.0, if theme == egui::Theme::Dark { t.text_strong } else { t.accent });
    v.weak_text_color = Some(t.text_weak);
    v.hyperlink_color = t.accent;
    v.faint_bg_color = t.raised.gamma_multiply(0.45);
    v.extreme_bg_color = t.inset;
    v.code_bg_color = t.inset;
    v.text_edit_bg_color = Some(t.inset);
    v.warn_fg_color = t.warning;
    v.error_fg_color = t.error;
    v.panel_fill = t.panel;
    v.window_fill = t.panel;
    v.window_stroke = Stroke::new(1.0, t.line);
    v.window_corner_radius = CornerRadius::same(10);
    v.menu_corner_radius = CornerRadius::same(8);
    v.window_shadow = Shadow { offset: [0, 12], blur: 32, spread: 0, color: t.shadow };
    v.popup_shadow = Shadow { offset: [0, 6], blur: 18, spread: 0, color: t.shadow };
    v.slider_trailing_fill = true;
    v.handle_shape = egui::style::HandleShape::Circle;
    v.indent_has_left_vline = false;
    v.disabled_alpha = 0.45;
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance after WCAG 2.1.
    fn luminance(color: Color32) -> f32 {
        let linear = |c: u8| {
            let c = f32::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(color.r()) + 0.7152 * linear(color.g()) + 0.0722 * linear(color.b())
    }

    fn contrast(a: Color32, b: Color32) -> f32 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_is_readable_in_both_themes() {
        for (name, t) in [("dark", DARK), ("light", LIGHT)] {
            for (text, least) in
                [(t.text_strong, 7.0), (t.text, 7.0), (t.text_weak, 4.5), (t.error, 4.5), (t.warning, 4.5)]
            {
                let got = contrast(text, t.panel);
                assert!(got >= least, "{name}: {text:?} on the panel has contrast {got:.1}, wants {least}");
            }
            assert!(contrast(t.on_accent, t.accent) >= 4.5, "{name}: text on the accent");
        }
    }

    #[test]
    fn data_stay_on_neutral_grey() {
        for t in [DARK, LIGHT] {
            assert!(t.canvas.r() == t.canvas.g() && t.canvas.g() == t.canvas.b());
            assert_eq!(t.canvas.to_normalized_gamma_f32(), crate::render::scene::BACKGROUND);
        }
    }
}
