package whoisclient

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

func TestDecode(t *testing.T) {
	const jp = "[登録者名] 株式会社"
	encode := func(charset, s string) string {
		e, err := htmlindex.Get(charset)
		if err != nil {
			t.Fatal(err)
		}
		s, err = e.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, tt := range []struct {
		raw, charset string
		cut          bool
		want, name   string
	}{
		{"", "", false, "", "utf-8"},
		{"ascii", "shift_jis", false, "ascii", "utf-8"},
		{"\ufeffdomain:", "", false, "domain:", "utf-8"},
		{"Zürich", "gb18030", false, "Zürich", "utf-8"},
		{"Zürich, Genève, Malmö, Łódź, \xe2", "gb18030", false, "Zürich, Genève, Malmö, Łódź, \ufffd", "utf-8"}, // a value cut by the registry
		{"Zürich \xe2\x82", "", true, "Zürich ", "utf-8"},
		{"Zürich \xe2\x82", "", false, "ZÃ¼rich â‚", "windows-1252"}, // one whole, two broken
		{"Z\xfcrich", "", true, "Zürich", "windows-1252"},
		{"Z\xfc", "", true, "Zü", "windows-1252"}, // begins no character of UTF-8
		{"Caf\xe9", "", true, "Caf", "utf-8"},     // may begin one
		{encode("iso-2022-jp", jp), "", false, jp, "iso-2022-jp"},
		{encode("iso-2022-jp", jp), "shift_jis", false, jp, "iso-2022-jp"},
		{encode("shift_jis", jp), "Shift_JIS", false, jp, "shift_jis"},
		{encode("euc-jp", jp), "EUC-JP", false, jp, "euc-jp"},
		{encode("gb18030", "注册人"), "GB18030", false, "注册人", "gb18030"},
		{encode("gbk", "注册人"), "gb2312", false, "注册人", "gbk"},
		{encode("big5", "註冊人"), "Big5", false, "註冊人", "big5"},
		{encode("koi8-r", "Домен"), "KOI8-R", false, "Домен", "koi8-r"},
		{encode("windows-1251", "Домен"), "cp1251", false, "Домен", "windows-1251"},
		{encode("iso-8859-2", "Łódź"), "ISO-8859-2", false, "Łódź", "iso-8859-2"},
		{"caf\xe9 \x80", "no-such-charset", false, "café €", "windows-1252"},
		{"esc \x1b[0m", "", false, "esc \x1b[0m", "utf-8"},
	} {
		got, name := decode([]byte(tt.raw), tt.charset, tt.cut)
		if got != tt.want || name != tt.name {
			t.Errorf("decode(%q, %q, %v) = %q, %q, want %q, %q", tt.raw, tt.charset, tt.cut, got, name, tt.want, tt.name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("Z\xfcrich"), "", true)
	f.Add([]byte("\x1b$B8!:w\x1b(B"), "", false)
	f.Add([]byte("\xc1\xa6\xb5"), "euc-kr", true)
	f.Add([]byte("\xff\xfe\x00\xd8"), "utf-16", false)
	f.Add([]byte("\x81\x30\x81"), "gb18030", false)
	f.Fuzz(func(t *testing.T, raw []byte, charset string, cut bool) {
		text, name := decode(raw, charset, cut)
		if !utf8.ValidString(text) || name == "" {
			t.Errorf("%q in %q", text, name)
		}
		if utf8.Valid(raw) && name == "utf-8" && !cut && text != strings.TrimPrefix(string(raw), "\ufeff") {
			t.Errorf("valid UTF-8 was changed to %q", text)
		}
	})
}
