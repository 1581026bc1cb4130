/* Runs a program on a console of its own and sends it console events, for tests/wine/run.
 *
 *   console.exe EVENTS PROGRAM ARGUMENT...
 *
 * EVENTS is a file. Each letter that is appended to it sends a Ctrl-C; Wine has no other event.
 * Ends with the exit code of the program, or with 99 where something is wrong.
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

static int fail(const char *what) {
    fprintf(stderr, "console: %s: error %lu\n", what, GetLastError());
    return 99;
}

/* The parent outlives what it sends. */
static BOOL WINAPI ignore(DWORD event) {
    (void)event;
    return TRUE;
}

int main(int count, char **given) {
    if (count < 3) {
        fprintf(stderr, "usage: console.exe EVENTS PROGRAM ARGUMENT...\n");
        return 99;
    }
    char line[32768], *end = line;
    for (int at = 2; at < count; at++) {
        if (end - line + 2 * strlen(given[at]) + 4 > sizeof line) return fail("too long");
        end += sprintf(end, at > 2 ? " \"" : "\"");
        /* No argument of the test has a backslash before a quote or at its end. */
        for (const char *from = given[at]; *from; from++) {
            if (*from == '"') *end++ = '\\';
            *end++ = *from;
        }
        *end++ = '"';
        *end = 0;
    }
    /* A new console takes the place of the files that were given for input and output. */
    STARTUPINFOA start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
    start.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
    start.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    /* Without a terminal Wine has a console that sends no events. */
    FreeConsole();
    if (!AllocConsole()) return fail("no console");
    PROCESS_INFORMATION child;
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &child)) return fail("start the program");
    SetConsoleCtrlHandler(ignore, TRUE);
    long sent = 0;
    while (WaitForSingleObject(child.hProcess, 100) == WAIT_TIMEOUT) {
        FILE *events = fopen(given[1], "rb");
        if (!events) continue;
        fseek(events, sent, SEEK_SET);
        for (int letter; (letter = fgetc(events)) != EOF; sent++) {
            /* 0: everything on this console. */
            if (!GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0)) fail("send the event");
        }
        fclose(events);
    }
    DWORD code = 99;
    GetExitCodeProcess(child.hProcess, &code);
    return (int)code;
}
