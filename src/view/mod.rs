//! Views: the same content read another way.
//!
//! A view has no name and no depth of its own: what holds on it is reported at the object. Everything here is a plain function of
//! bytes; which views an object gets, and what they may cost, the walk decides.
//!
//! Two families. The *readings* are what a person or a program would see: UTF-16 as UTF-8, HTML as text, what is encoded
//! in base64. The *normal forms* are those that ClamAV's signatures for HTML and text are written for; they are made as
//! `sigtool --html-normalise` and `--ascii-normalise` make them.
#![forbid(unsafe_code)]

mod address;
pub mod base64;
pub mod charset;
mod entity;
pub mod html;
mod joint;
#[cfg(test)]
mod naive;
pub mod normal;
mod outlook;
mod run;
pub mod script;
mod second;
mod sextets;
mod words;
mod wrapped;

/// How the bytes that are matched were made from the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// They are the object.
    Content,
    /// The object, read as a person would: all signatures hold on it that hold on a content.
    Reading,
    /// ClamAV's normal form of HTML.
    Html,
    /// ClamAV's normal form of the scripts in HTML.
    Script,
    /// ClamAV's normal form of text.
    Text,
}

/// ClamAV's targets whose signatures are written for a normal form.
const HTML: u8 = 3;
const TEXT: u8 = 7;

impl Form {
    /// Tells whether a signature for ClamAV's `target` is for this form of an object whose type has the target `own`.
    /// Measured of clamscan: it looks at scripts for HTML and for text, and at a content never for these two.
    pub fn fits(self, target: u8, own: u8) -> bool {
        match (self, target) {
            (_, 0) | (Self::Html, HTML) | (Self::Script, HTML | TEXT) | (Self::Text, TEXT) => true,
            (Self::Content | Self::Reading, target) => {
                target == own && !matches!(target, HTML | TEXT)
            }
            (Self::Html | Self::Script | Self::Text, _) => false,
        }
    }

    /// One of ClamAV's own forms.
    pub fn is_normal(self) -> bool {
        matches!(self, Self::Html | Self::Script | Self::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_its_forms() {
        let forms = [
            Form::Content,
            Form::Reading,
            Form::Html,
            Form::Script,
            Form::Text,
        ];
        let of = |target: u8| -> Vec<bool> {
            forms.iter().map(|form| form.fits(target, target)).collect()
        };
        assert_eq!(of(0), [true; 5]);
        assert_eq!(of(1), [true, true, false, false, false]);
        assert_eq!(of(3), [false, false, true, true, false]);
        assert_eq!(of(4), [true, true, false, false, false]);
        assert_eq!(of(7), [false, false, false, true, true]);
    }
}
