package notify

// Mark gives the shape that stands before the word, as the pages have it, so that no channel speaks by colour alone.
func (t Tone) Mark() string {
	switch t {
	case ToneCritical:
		return "■"
	case ToneWarning:
		return "▲"
	case ToneAcknowledged:
		return "◐"
	case ToneResolved:
		return "●"
	}
	return "○"
}
