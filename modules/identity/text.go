package identity

import "golang.org/x/text/language"

// languages are those that the pages are written in; the first is for everybody else.
var languages = language.NewMatcher([]language.Tag{language.English, language.German})

// texts are what the pages say, by language.
var texts = map[string]map[string]string{
	"en": {
		"sign_in":              "Sign in",
		"register":             "Create an account",
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
		"now_sign_in":          "Your password is set. Sign in with it.",
		"reset":                "Forgot your password?",
		"mailed":               "Look into your mailbox",
		"mailed_text":          "We have sent a mail to the address. It has a link that leads on, and is good for an hour. If there is none, look where unwanted mail goes.",
		"mail_hint":            "We send a link to this address.",
		"send_mail":            "Send the link",
		"choose_password":      "Choose a password",
		"old_link":             "The link was used already, or is too old. Ask for another one.",
		"mail confirm":         "Your account",
		"mail confirm text":    "Hello,\n\nsomebody, probably you, wants an account for {email}. To choose a password, follow this link within an hour:\n\n{link}\n\nIf it was not you, do nothing: without this link nobody can use the account.\n",
		"mail exists":          "Your account",
		"mail exists text":     "Hello,\n\nsomebody, probably you, wants an account for {email}. You have one already. Sign in here:\n\n{link}\n\nIf it was not you, do nothing.\n",
		"mail reset":           "A new password",
		"mail reset text":      "Hello,\n\nsomebody, probably you, wants a new password for {email}. To choose one, follow this link within an hour:\n\n{link}\n\nIf it was not you, do nothing: your password stays as it is.\n",
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
		"now_sign_in":          "Ihr Passwort ist gesetzt. Melden Sie sich damit an.",
		"reset":                "Passwort vergessen?",
		"mailed":               "Sehen Sie in Ihr Postfach",
		"mailed_text":          "Wir haben eine Mail an die Adresse geschickt. Darin führt ein Link weiter, der eine Stunde gilt. Wenn keine da ist, sehen Sie nach, wohin unerwünschte Mails kommen.",
		"mail_hint":            "Wir schicken einen Link an diese Adresse.",
		"send_mail":            "Link schicken",
		"choose_password":      "Passwort wählen",
		"old_link":             "Der Link wurde schon benutzt oder ist zu alt. Bitten Sie um einen neuen.",
		"mail confirm":         "Ihr Konto",
		"mail confirm text":    "Guten Tag,\n\njemand, wahrscheinlich Sie, möchte ein Konto für {email}. Um ein Passwort zu wählen, folgen Sie innerhalb einer Stunde diesem Link:\n\n{link}\n\nWenn Sie es nicht waren, tun Sie nichts: Ohne diesen Link kann niemand das Konto benutzen.\n",
		"mail exists":          "Ihr Konto",
		"mail exists text":     "Guten Tag,\n\njemand, wahrscheinlich Sie, möchte ein Konto für {email}. Sie haben schon eines. Melden Sie sich hier an:\n\n{link}\n\nWenn Sie es nicht waren, tun Sie nichts.\n",
		"mail reset":           "Ein neues Passwort",
		"mail reset text":      "Guten Tag,\n\njemand, wahrscheinlich Sie, möchte ein neues Passwort für {email}. Um eines zu wählen, folgen Sie innerhalb einer Stunde diesem Link:\n\n{link}\n\nWenn Sie es nicht waren, tun Sie nichts: Ihr Passwort bleibt, wie es ist.\n",
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
