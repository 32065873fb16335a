// Package hostile tests the built program among other users of its machine, who look for its secrets, and plant names where it is
// about to make files of its own.
package hostile
