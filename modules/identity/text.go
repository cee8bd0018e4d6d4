package identity

import "golang.org/x/text/language"

// languages are those that the pages are written in; the first is for everybody else.
var languages = language.NewMatcher([]language.Tag{language.English, language.German})

// texts are what the pages say, by language.
var texts = map[string]map[string]string{
	"en": {
		"sign_in":              "Sign in",
		"register":             "Create an account",
		"registered":           "Almost there",
		"consent":              "Allow access?",
		"devices":              "Where you are signed in",
		"sign_out":             "Sign out",
		"signed_out":           "You are signed out",
		"wrong":                "This did not work",
		"email":                "E-mail address",
		"password":             "Password",
		"new_password":         "Password",
		"name":                 "Name (if you like)",
		"password_hint":        "At least 12 characters. A few words are easy to remember.",
		"refused":              "The e-mail address and the password do not belong together, or the account cannot be used.",
		"too_many":             "There were too many attempts. Try again in a quarter of an hour.",
		"no_client":            "The app that sent you here is not known, or wants you back at an address that is not its own. Go back and tell those who make it.",
		"form":                 "The page was too old, or your browser keeps no cookies. Go back, load it again, and try once more.",
		"bad_email":            "This is no e-mail address.",
		"bad_password":         "Choose a password of at least 12 characters that is not your e-mail address.",
		"bad_name":             "The name is too long, or has characters that no name has.",
		"now_sign_in":          "If the address had no account yet, it has one now. Sign in with the password that you have chosen.",
		"consent_asks":         "You are about to be signed in at:",
		"signed_in_as":         "You are signed in as",
		"allow":                "Allow",
		"deny":                 "Deny",
		"this_device":          "here",
		"unknown_device":       "Some device",
		"scope openid":         "It learns your id in this shop",
		"scope profile":        "It learns your name",
		"scope email":          "It learns your e-mail address",
		"scope offline_access": "It stays signed in when you are not there",
	},
	"de": {
		"sign_in":              "Anmelden",
		"register":             "Konto anlegen",
		"registered":           "Fast fertig",
		"consent":              "Zugriff erlauben?",
		"devices":              "Wo Sie angemeldet sind",
		"sign_out":             "Abmelden",
		"signed_out":           "Sie sind abgemeldet",
		"wrong":                "Das hat nicht geklappt",
		"email":                "E-Mail-Adresse",
		"password":             "Passwort",
		"new_password":         "Passwort",
		"name":                 "Name (wenn Sie mögen)",
		"password_hint":        "Mindestens 12 Zeichen. Ein paar Wörter merkt man sich leicht.",
		"refused":              "E-Mail-Adresse und Passwort passen nicht zusammen, oder das Konto kann nicht benutzt werden.",
		"too_many":             "Das waren zu viele Versuche. Versuchen Sie es in einer Viertelstunde wieder.",
		"no_client":            "Die App, die Sie hierher geschickt hat, ist nicht bekannt, oder sie will Sie an einer Adresse zurück, die nicht ihre ist. Gehen Sie zurück und sagen Sie es denen, die sie machen.",
		"form":                 "Die Seite war zu alt, oder Ihr Browser behält keine Cookies. Gehen Sie zurück, laden Sie sie neu und versuchen Sie es noch einmal.",
		"bad_email":            "Das ist keine E-Mail-Adresse.",
		"bad_password":         "Wählen Sie ein Passwort mit mindestens 12 Zeichen, das nicht Ihre E-Mail-Adresse ist.",
		"bad_name":             "Der Name ist zu lang oder hat Zeichen, die kein Name hat.",
		"now_sign_in":          "Wenn die Adresse noch kein Konto hatte, hat sie jetzt eines. Melden Sie sich mit dem Passwort an, das Sie gewählt haben.",
		"consent_asks":         "Sie werden angemeldet bei:",
		"signed_in_as":         "Sie sind angemeldet als",
		"allow":                "Erlauben",
		"deny":                 "Ablehnen",
		"this_device":          "hier",
		"unknown_device":       "Irgendein Gerät",
		"scope openid":         "Sie erfährt Ihre Kennung in diesem Shop",
		"scope profile":        "Sie erfährt Ihren Namen",
		"scope email":          "Sie erfährt Ihre E-Mail-Adresse",
		"scope offline_access": "Sie bleibt angemeldet, wenn Sie nicht da sind",
	},
}

// languageOf returns the language of the pages for somebody whose browser prefers some.
func languageOf(accepted string) string {
	wanted, _, _ := language.ParseAcceptLanguage(accepted) // What cannot be read is no preference.
	if _, index, _ := languages.Match(wanted...); index == 1 {
		return "de"
	}
	return "en"
}
