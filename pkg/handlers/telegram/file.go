package telegram

import "strings"

// A file of Telegram's has no URL that could be shown: it would hold the bot's
// token, and end after an hour. So a message tells it as "telegram:photo/ID",
// which lasts as long as the bot, gives nothing away, can be sent again, and is
// what the action downloadFile takes.
const fileScheme = "telegram:"

// The kinds of files: Telegram sends a file again only as what it is.
const (
	kindPhoto     = "photo"
	kindAudio     = "audio"
	kindVoice     = "voice"
	kindVideo     = "video"
	kindVideoNote = "videoNote"
	kindAnimation = "animation"
	kindSticker   = "sticker"
	kindDocument  = "document"
)

// sending is how a kind of file is sent.
type sending struct {
	method string
	field  string
	silent bool // it takes no caption
}

var sendings = map[string]sending{
	kindPhoto:     {"sendPhoto", "photo", false},
	kindAudio:     {"sendAudio", "audio", false},
	kindVoice:     {"sendVoice", "voice", false},
	kindVideo:     {"sendVideo", "video", false},
	kindVideoNote: {"sendVideoNote", "video_note", true},
	kindAnimation: {"sendAnimation", "animation", false},
	kindSticker:   {"sendSticker", "sticker", true},
	kindDocument:  {"sendDocument", "document", false},
}

func reference(kind, fileID string) string { return fileScheme + kind + "/" + fileID }

// dereference reads what reference wrote.
func dereference(where string) (kind, fileID string, ok bool) {
	rest, ok := strings.CutPrefix(where, fileScheme)
	if !ok {
		return "", "", false
	}
	kind, fileID, ok = strings.Cut(rest, "/")
	_, known := sendings[kind]
	return kind, fileID, ok && known && fileID != ""
}
