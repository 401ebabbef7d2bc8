package update

import "strings"

// clean is err without what must not be shown.
func (r *round) clean(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, t := range r.tries {
		for _, secret := range t.secrets {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	if text == err.Error() {
		return err
	}
	return &cleaned{text, err}
}

// cleaned is an error with another text.
type cleaned struct {
	text string
	err  error
}

func (c *cleaned) Error() string { return c.text }

// Unwrap is for errors.As alone: the text of what it returns may have a secret in it.
func (c *cleaned) Unwrap() error { return c.err }
