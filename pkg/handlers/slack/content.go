package slack

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/towpath/towpath/pkg/events"
)

// file is a file of a message. URL is for whoever shows the bot's token, so that
// the action downloadFile fetches it; a file that Slack does not hand out, such
// as one of another workspace, has its page alone.
type file struct {
	Name      string `json:"name"`
	Title     string `json:"title"`
	Mimetype  string `json:"mimetype"`
	URL       string `json:"url_private"`
	Permalink string `json:"permalink"`
}

// payload is the file by its kind, nil if nothing is left of it.
func (f file) payload(title string) events.Payload {
	where := cmp.Or(f.URL, f.Permalink)
	if where == "" {
		return nil
	}
	title = cmp.Or(title, f.Title, f.Name)
	kind, _, _ := strings.Cut(f.Mimetype, "/")
	switch {
	case f.URL == "":
	case kind == "image":
		return events.Image{ImageURL: where, Title: title}
	case kind == "audio":
		return events.Audio{AudioURL: where, Title: title}
	case kind == "video":
		return events.Video{VideoURL: where, Title: title}
	}
	return events.File{FileURL: where, Title: title}
}

// contents are what was said, and then the files.
func (m message) contents() []events.Payload {
	var all []events.Payload
	if m.Text != "" {
		all = append(all, events.Text{Text: m.Text})
	}
	for _, one := range m.Files {
		if payload := one.payload(""); payload != nil {
			all = append(all, payload)
		}
	}
	return all
}

// payload is a message of the one thing that is in it, or a bloc of several, nil
// if there is nothing.
func (m message) payload() events.Payload {
	switch all := m.contents(); len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	default:
		return bloc(all)
	}
}

// payloadAs is an edited message as the type that it was before: a message
// keeps its type. Words that were put to a file are its title.
func (m message) payloadAs(typ string) events.Payload {
	all := m.contents()
	if typ == (events.Bloc{}).MessageType() && len(all) > 0 {
		return bloc(all)
	}
	for _, one := range all {
		if one.MessageType() == typ && typ == (events.Text{}).MessageType() {
			return one
		}
	}
	for _, one := range m.Files {
		if payload := one.payload(m.Text); payload != nil && payload.MessageType() == typ {
			return payload
		}
	}
	return nil
}

func bloc(all []events.Payload) events.Bloc {
	items := make([]events.BlocItem, len(all))
	for i, one := range all {
		encoded, _ := json.Marshal(one) // texts alone: nothing in it can fail
		items[i] = events.BlocItem{Type: one.MessageType(), Payload: encoded}
	}
	return events.Bloc{Items: items}
}
