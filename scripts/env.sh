# Sets the paths of the tools and browsers. The scripts and the Makefile source it; the test runner
# sources it and prints the variables.
TOOLS="${DELTALINK_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/deltalink-tools}"
export TOOLS PATH="$TOOLS/bin:$PATH"
first() { local p; for p in "$@"; do [ -x "$p" ] && { printf '%s' "$p"; return; }; done; true; }
CHROMIUM="${CHROMIUM:-$(first /usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")}"
CHROMEDRIVER="${CHROMEDRIVER:-$(first /usr/bin/chromedriver "$(command -v chromedriver || true)")}"
FIREFOX="${FIREFOX:-$(first /usr/bin/firefox-esr /usr/bin/firefox /Applications/Firefox.app/Contents/MacOS/firefox)}"
WEBKITDRIVER="${WEBKITDRIVER:-$(first /usr/bin/WebKitWebDriver)}"
export CHROMIUM CHROMEDRIVER FIREFOX WEBKITDRIVER
