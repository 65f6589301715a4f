package whatsapp

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/towpath/towpath/pkg/handlers"
)

// medium is a picture, sound, film or file, incoming.
type medium struct {
	ID       string `json:"id"`
	URL      string `json:"url"`
	MimeType string `json:"mime_type"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
}

// payload is the message that a bot gets: an events.Image, events.Audio and so
// on, whose URL is in the field, with what a bot needs to ask for it again.
func (m medium) payload(field string) map[string]any {
	payload := map[string]any{field: m.URL, "mediaId": m.ID}
	for name, value := range map[string]string{
		"mimeType": m.MimeType, "filename": m.Filename, "caption": m.Caption, "title": cmp.Or(m.Caption, m.Filename),
	} {
		if value != "" {
			payload[name] = value
		}
	}
	return payload
}

// locate finds the URL of a medium, which is good for five minutes and needs the
// access token. One that Meta does not have any more comes without: what was said
// about it is not lost.
func locate(ctx context.Context, p handlers.WebhookProps[Config], m medium) (medium, error) {
	if m.URL != "" || m.ID == "" {
		return m, nil
	}
	found, err := mediaOf(ctx, p.Props, m.ID)
	if handlers.Judge(err).Decision == handlers.GiveUp {
		p.Logger.ForBot().WithError(err).Warn("a picture or file cannot be got from WhatsApp")
		return m, nil
	}
	m.URL, m.MimeType = found.URL, cmp.Or(m.MimeType, found.MimeType)
	return m, err
}

// GetMedia is the input of the action getMedia.
type GetMedia struct {
	MediaID string `json:"mediaId"`
}

// Media is the output of the action getMedia. To read URL, send the access token
// in the header Authorization, as "Bearer …".
type Media struct {
	MediaID  string `json:"mediaId"`
	URL      string `json:"url"`
	MimeType string `json:"mimeType"`
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"` // in bytes
}

func getMedia(ctx context.Context, p handlers.ActionProps[Config, GetMedia]) (Media, error) {
	return mediaOf(ctx, p.Props, p.Input.MediaID)
}

func mediaOf(ctx context.Context, p handlers.Props[Config], id string) (Media, error) {
	var found struct {
		ID       string `json:"id"`
		URL      string `json:"url"`
		MimeType string `json:"mime_type"`
		SHA256   string `json:"sha256"`
		Size     int64  `json:"file_size"`
	}
	query := url.Values{"phone_number_id": {p.Ctx.Configuration.PhoneNumberID}}
	if err := api(p).Do(ctx, http.MethodGet, url.PathEscape(id)+"?"+query.Encode(), nil, &found); err != nil {
		return Media{}, err
	}
	return Media{MediaID: cmp.Or(found.ID, id), URL: found.URL, MimeType: found.MimeType, SHA256: found.SHA256, Size: found.Size}, nil
}
