package annotate

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

func TestPacked(t *testing.T) {
	log, want := longLog(30_000)
	a := mustNew(t, Options{Format: Text})
	for p, program := range map[Packing]string{Gzip: "gzip", Zstd: "zstd"} {
		testenv.Program(t, program, program)
		var packed, out bytes.Buffer
		pack := exec.Command(program, "-c")
		pack.Stdin, pack.Stdout = strings.NewReader(log), &packed
		if err := pack.Run(); err != nil {
			t.Fatal(err)
		}
		in, got, err := Unpack(io.MultiReader(bytes.NewReader(packed.Bytes()), bytes.NewReader(packed.Bytes()))) // members follow each other
		if err != nil || got != p {
			t.Fatalf("%s: %v (%v)", program, got, err)
		}
		if err := a.Annotate(context.Background(), Log{In: in, Out: &out, Pack: p}); err != nil {
			t.Fatal(err)
		}
		unpack := exec.Command(program, "-dc")
		unpack.Stdin = &out
		if got, err := unpack.Output(); err != nil || string(got) != want+want {
			t.Errorf("%s: %d bytes (%v), want %d", program, len(got), err, 2*len(want))
		}
	}
}

func TestEmptyPacked(t *testing.T) {
	for _, p := range []Packing{Gzip, Zstd} {
		var out bytes.Buffer
		if err := mustNew(t, Options{Format: Text}).Annotate(context.Background(), Log{In: strings.NewReader(""), Out: &out, Pack: p}); err != nil {
			t.Fatal(err)
		}
		r, got, err := Unpack(&out)
		if err != nil || got != p {
			t.Fatalf("%v: %v", got, err)
		}
		if b, err := io.ReadAll(r); len(b) > 0 || err != nil {
			t.Errorf("%q (%v)", b, err)
		}
	}
}

func TestUnpack(t *testing.T) {
	bzip2 := "BZh91AY&SY\xc1\xc0\x80\xe2\x00\x00\x01A\x00\x00\x10\x02D\xa0\x000\xcd\x00\xc3F)\x97\x17rE8P\x90\xc1\xc0\x80\xe2"
	for in, want := range map[string]string{"": "", "x": "x", "plain\n": "plain\n", bzip2: "hello\n"} {
		r, _, err := Unpack(strings.NewReader(in))
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if got, err := io.ReadAll(r); string(got) != want || err != nil {
			t.Errorf("%q: %q (%v)", in, got, err)
		}
	}
	if _, _, err := Unpack(strings.NewReader("\x1f\x8b\x08 no header")); err == nil {
		t.Error("a broken file is read")
	}
}
