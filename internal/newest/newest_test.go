package newest

import "testing"

func TestNewestCounts(t *testing.T) {
	var s Stack[string]
	if s.Do(func(string) { t.Error("called on an empty stack") }) {
		t.Error("an empty stack had a value")
	}
	first, second := s.Push("first"), s.Push("second")
	third := s.Push("third")
	steps := []struct {
		do   func()
		want string
	}{
		{func() {}, "third"},
		{second, "third"},
		{second, "third"}, // idempotent
		{third, "first"},
		{first, ""},
	}
	for i, step := range steps {
		step.do()
		got := ""
		s.Do(func(v string) { got = v })
		if got != step.want {
			t.Errorf("step %d: newest is %q, want %q", i, got, step.want)
		}
	}
}
