//! The page as text; what a browser makes of it is in browser.rs.

use ringprobe::bench::report::html;
use serde_json::Value;

use crate::made;

/// The JSON that the page carries.
fn json_of(page: &str) -> &str {
    let (_, behind) =
        page.split_once("<script type=\"application/json\" id=\"result\">").expect("it");
    behind.split_once("</script>").expect("its end").0
}

#[test]
fn a_hostile_name_stays_a_name() {
    const HOSTILE: &str = "</script><script>alert(1)</script><!-- {{json}} \" ' &amp;";
    let mut result = made::runs();
    result.load.targets = HOSTILE.to_owned();
    result.machine.cpu = HOSTILE.to_owned();
    let (page, plain) = (html(&result), html(&made::runs()));
    let count = |page: &str, what: &str| page.matches(what).count();
    for what in ["<script", "</script", "<!--"] {
        assert_eq!(count(&page, what), count(&plain, what), "{what}");
    }
    assert!(!json_of(&page).contains('<'));
    let read: Value = serde_json::from_str(json_of(&page)).expect("JSON");
    assert_eq!(read["load"]["targets"], HOSTILE);
}

#[test]
fn everything_that_runs_has_the_nonce_and_nothing_comes_from_elsewhere() {
    let page = html(&made::ramp());
    let nonce = page.split_once("script-src 'nonce-").expect("a policy").1;
    let nonce = nonce.split_once('\'').expect("its end").0;
    assert_eq!(nonce.len(), 32);
    assert!(page.contains("default-src 'none';"));
    assert_eq!(page.matches("<script nonce=").count(), 2);
    assert_eq!(page.matches("<style nonce=").count(), 2);
    // The policy names it twice.
    assert_eq!(page.matches(nonce).count(), 6);
    assert_ne!(
        nonce,
        html(&made::ramp()).split_once("'nonce-").expect("a policy").1[..32].to_owned()
    );
    for what in [" src=", "@import", "url(", " onclick", " style="] {
        assert!(!page.contains(what), "{what}");
    }
    assert_eq!(page.matches("href=").count(), 1, "the empty icon");
}

#[test]
fn the_table_is_there_without_javascript() {
    let page = html(&made::ramp());
    let body =
        page.split_once("<main>").expect("it").1.split_once("<div id=\"plots\"").expect("it").0;
    assert_eq!(body.matches("<th scope=\"row\">").count(), 8);
    assert!(body.contains("<tr class=\"knee\"><th scope=\"row\">12,000</th>"));
    assert!(body.contains("<b>limited by</b> target in steps 7-8: with up to 4096 probes"));
    assert!(body.contains("<noscript>"));
    let mut kept = made::ramp();
    let knee = kept.knee.as_mut().expect("a ramp has one");
    (knee.broken_per_second, knee.why) = (None, None);
    assert!(!html(&kept).contains("<tr class=\"knee\">"), "nothing bends");
}

/// WCAG 2: relative luminance of `#rrggbb`.
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour");
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[test]
fn text_and_lines_stand_out_from_what_is_behind_them() {
    let css = include_str!("../../src/bench/report/html/page.css");
    let schemes: Vec<&str> = css.split(" color-scheme: ").skip(1).take(3).collect();
    assert_eq!(schemes.len(), 3, "light, dark by preference, dark by the button");
    let palette =
        |scheme: &str| scheme.split_once('}').expect("its end").0.replace("\n    ", "\n  ");
    assert_eq!(palette(schemes[1]).trim(), palette(schemes[2]).trim());
    for scheme in schemes {
        let scheme = palette(scheme);
        let colour = |name: &str| {
            let value = scheme.split_once(&format!("--{name}: ")).expect("it").1;
            luminance(&value[..7])
        };
        let contrast = |front: &str, back: &str| {
            let (front, back) = (colour(front), colour(back));
            (front.max(back) + 0.05) / (front.min(back) + 0.05)
        };
        let mut weak = Vec::new();
        let texts = ["ink", "soft", "accent"].map(|front| [(front, "page"), (front, "card")]);
        let toned = [
            ("good", "good-back"),
            ("caution", "caution-back"),
            ("warning", "warning-back"),
            ("accent", "chosen"),
            ("ink", "chosen"),
        ];
        for (front, back) in texts.into_iter().flatten().chain(toned) {
            if contrast(front, back) < 4.5 {
                weak.push(format!("{front} on {back}: {:.2}", contrast(front, back)));
            }
        }
        for number in 0..8 {
            let line = format!("c{number}");
            if contrast(&line, "card") < 3.0 {
                weak.push(format!("{line}: {:.2}", contrast(&line, "card")));
            }
        }
        assert!(weak.is_empty(), "{weak:?}");
    }
}
