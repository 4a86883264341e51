use super::*;

/// A text, and what sigtool makes of it: with tags, without, and the scripts.
type Row = [&'static [u8]; 4];

const ROWS: &[Row] = &[
    [b"<P>Hello<B>bold</B> x</P>", b"<p>hello<b>bold</b>x</p>", b" hello bold x ", b""],
    [b"x <!-- C --> y", b"x y", b"x y", b""],
    [b"x<!C -- d>e-->y", b"xe-->y", b"x e-->y", b""],
    [
        b"<a  HREF = \"Foo Bar\" class='Q  W' id=Raw disabled>t</a>",
        b"<a href=\"foo bar\" class=\"q w\" id=raw disabled>t</a>",
        b" Foo Bar t ",
        b"",
    ],
    [b"<a\nhref\n=\nfoo\n>t", b"<a href=foo>t", b" foo t", b""],
    [
        b"<p>a &amp b &amp; &AMP; &#65; &#65 &#x41; &#X42; &#300; &#x20ac; &lt;p&gt; &nbsp;. &copy; &foo; &; & b",
        b"<p>a &amp b & &amp; a A a b &#x012c; &#x20ac; <p> \xa0. \xa9 &foo; &; & b",
        b" a b p . b",
        b"",
    ],
    [b"<p>unclosed <b attr=\"x", b"<p>unclosed <b attr=\"x", b" unclosed ", b""],
    [b"<textarea> A  <b> </textarea>", b"<textarea>a <b></textarea>", b" a ", b""],
    [b"<a b=\"c\"d=\"e\">", b"<a b=\"c\" d=\"e\">", b" ", b""],
    [b"< p>x", b"<p>x", b" x", b""],
    [b"<a x= y\tz>", b"<a x=y z>", b" ", b""],
    [b"<a href=\"X\"><img src=Y>q", b"<a href=\"x\"><img src=y>q", b" X Y q", b""],
    [b"<style>a > b { C: d }</style>Zed", b"<style>a>b{c:d}</style>zed", b" zed", b""],
    [
        b"<script>A\nB  C</script>x<script>D;\n</script>",
        b"<script>abc</script>x<script>d;</script>",
        b" x ",
        b"<script>a b c</script>\n<script>d;</script>",
    ],
    [
        b"<script>var x=f(a,b),c;a;b;c</script>",
        b"<script>varx=f(a,b),c;a;b;c</script>",
        b" ",
        b"<script>var n000=f(a,n001),n002;a;n001;n002</script>",
    ],
    [
        b"<script>var Foo = \"A\\x42\" + 'c' // d e\n+ unescape(\"%46\"); /* g */ h</script>",
        b"<script>varfoo=\"a\\x42\"+\"c\"//de+unescape(\"%46\");/*g*/h</script>",
        b" ",
        b"<script>var n000=\"abc\"d e+\"f\";h</script>",
    ],
];

#[test]
fn as_sigtool_makes_it() {
    for [text, tagged, plain, scripts] in ROWS {
        let html = html(text);
        let shown = text.escape_ascii();
        assert_eq!(
            html.tagged.escape_ascii().to_string(),
            tagged.escape_ascii().to_string(),
            "{shown}"
        );
        assert_eq!(
            html.plain.escape_ascii().to_string(),
            plain.escape_ascii().to_string(),
            "{shown}"
        );
        assert_eq!(
            html.scripts.escape_ascii().to_string(),
            scripts.escape_ascii().to_string(),
            "{shown}"
        );
    }
}
