package telegram

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/towpath/towpath/pkg/events"
)

// content is what a message may hold; one of it, but for the caption.
type content struct {
	Text      string  `json:"text"`
	Caption   string  `json:"caption"`
	Photo     []photo `json:"photo"` // one picture in several sizes
	Animation *media  `json:"animation"`
	Audio     *media  `json:"audio"`
	Document  *media  `json:"document"`
	Video     *media  `json:"video"`
	VideoNote *media  `json:"video_note"`
	Voice     *media  `json:"voice"`
	Sticker   *struct {
		media

		Emoji      string `json:"emoji"`
		IsAnimated bool   `json:"is_animated"`
		IsVideo    bool   `json:"is_video"`
	} `json:"sticker"`
	Contact *struct {
		Phone     string `json:"phone_number"`
		FirstName string `json:"first_name"`
		LastName  string `json:"last_name"`
	} `json:"contact"`
	Location *location `json:"location"`
	Venue    *struct {
		Location location `json:"location"`
		Title    string   `json:"title"`
		Address  string   `json:"address"`
	} `json:"venue"`
	Poll *struct {
		Question string `json:"question"`
		Options  []struct {
			Text string `json:"text"`
		} `json:"options"`
	} `json:"poll"`
	Dice *struct {
		Emoji string `json:"emoji"`
		Value int    `json:"value"`
	} `json:"dice"`
	Game *struct {
		Title       string `json:"title"`
		Description string `json:"description"`
	} `json:"game"`
}

type photo struct {
	FileID string `json:"file_id"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

type media struct {
	FileID    string `json:"file_id"`
	FileName  string `json:"file_name"`
	Title     string `json:"title"` // of a song
	Performer string `json:"performer"`
}

type location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
}

// payload is the message type that shows the content best, nil for what is no
// message of a person. A poll, a contact and the like are told in a text.
func (c content) payload() events.Payload {
	switch {
	case c.Text != "":
		return events.Text{Text: c.Text}
	case len(c.Photo) > 0:
		return events.Image{ImageURL: reference(kindPhoto, largest(c.Photo).FileID), Title: c.Caption}
	case c.Sticker != nil:
		return c.sticker()
	case c.Animation != nil: // has a document, too, for programs that know no animations
		return events.Video{VideoURL: reference(kindAnimation, c.Animation.FileID), Title: c.Caption}
	case c.Video != nil:
		return events.Video{VideoURL: reference(kindVideo, c.Video.FileID), Title: c.Caption}
	case c.VideoNote != nil:
		return events.Video{VideoURL: reference(kindVideoNote, c.VideoNote.FileID)}
	case c.Audio != nil:
		song := strings.Trim(c.Audio.Performer+" – "+c.Audio.Title, " –")
		return events.Audio{AudioURL: reference(kindAudio, c.Audio.FileID), Title: cmp.Or(c.Caption, song, c.Audio.FileName)}
	case c.Voice != nil:
		return events.Audio{AudioURL: reference(kindVoice, c.Voice.FileID), Title: c.Caption}
	case c.Document != nil:
		return events.File{FileURL: reference(kindDocument, c.Document.FileID), Title: cmp.Or(c.Caption, c.Document.FileName)}
	case c.Venue != nil: // has a location, too
		at := c.Venue.Location
		return events.Location{Latitude: at.Latitude, Longitude: at.Longitude, Title: c.Venue.Title, Address: c.Venue.Address}
	case c.Location != nil:
		return events.Location{Latitude: c.Location.Latitude, Longitude: c.Location.Longitude}
	}
	if text := c.told(); text != "" {
		return events.Text{Text: text}
	}
	return nil
}

// sticker is a picture, a film, or, of one that programs draw by themselves, the
// emoji that it stands for.
func (c content) sticker() events.Payload {
	where := reference(kindSticker, c.Sticker.FileID)
	switch {
	case c.Sticker.IsVideo:
		return events.Video{VideoURL: where, Title: c.Sticker.Emoji}
	case c.Sticker.IsAnimated && c.Sticker.Emoji != "":
		return events.Text{Text: c.Sticker.Emoji}
	}
	return events.Image{ImageURL: where, Title: c.Sticker.Emoji}
}

// told is the content in words, for what no message type shows.
func (c content) told() string {
	switch {
	case c.Contact != nil:
		return lines(strings.TrimSpace(c.Contact.FirstName+" "+c.Contact.LastName), c.Contact.Phone)
	case c.Poll != nil:
		all := []string{c.Poll.Question}
		for i, option := range c.Poll.Options {
			all = append(all, strconv.Itoa(i+1)+". "+option.Text)
		}
		return lines(all...)
	case c.Dice != nil:
		return fmt.Sprintf("%s %d", c.Dice.Emoji, c.Dice.Value)
	case c.Game != nil:
		return lines(c.Game.Title, c.Game.Description)
	}
	return c.Caption // of something that is newer than this
}

func largest(sizes []photo) photo {
	found := sizes[0]
	for _, size := range sizes[1:] {
		if size.Width*size.Height >= found.Width*found.Height {
			found = size
		}
	}
	return found
}

// lines puts what is not empty below each other.
func lines(all ...string) string {
	var kept []string
	for _, line := range all {
		if strings.TrimSpace(line) != "" {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}
