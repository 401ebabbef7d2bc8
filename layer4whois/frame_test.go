package layer4whois

import (
	"bytes"
	"testing"
)

// TestCutLineLooksNoFurther: lines that end in a bare CR must not have the rest of a large buffer looked through for each.
func TestCutLineLooksNoFurther(t *testing.T) {
	b := bytes.Repeat([]byte("8.8.8.8\r"), 1<<20)
	if line, n := cutLine(b); string(line) != "8.8.8.8" || n != 8 {
		t.Errorf("%q, %d", line, n)
	}
	if allocs := testing.AllocsPerRun(10, func() { cutLine(b) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if _, n := cutLine(bytes.Repeat([]byte("x"), maxLine+500)); n != 0 {
		t.Errorf("a line without an end: %d", n)
	}
	long := append(bytes.Repeat([]byte("x"), maxLine), "\r\n"...)
	if line, n := cutLine(long); len(line) != maxLine || n != maxLine+2 {
		t.Errorf("the longest line: %d, %d", len(line), n)
	}
}
