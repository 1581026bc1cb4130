/* Runs a program on a console of its own and sends it console events, for tests/wine/run.
 *
 *   console.exe EVENTS PROGRAM ARGUMENT...
 *
 * EVENTS is a file. Each letter that is appended to it is sent: C for Ctrl-C, B for Ctrl-Break.
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
    char line[32768] = "";
    for (int at = 2; at < count; at++) {
        /* The arguments of the test have no quotes. */
        if (strlen(line) + strlen(given[at]) + 4 > sizeof line) return fail("too long");
        strcat(line, at > 2 ? " \"" : "\"");
        strcat(line, given[at]);
        strcat(line, "\"");
    }
    if (!GetConsoleWindow() && !AllocConsole() && GetLastError() != ERROR_ACCESS_DENIED) return fail("no console");
    STARTUPINFOA start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
    start.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
    start.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    PROCESS_INFORMATION child;
    if (!CreateProcessA(NULL, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &child)) return fail("start the program");
    SetConsoleCtrlHandler(ignore, TRUE);
    long sent = 0;
    while (WaitForSingleObject(child.hProcess, 100) == WAIT_TIMEOUT) {
        FILE *events = fopen(given[1], "rb");
        if (!events) continue;
        fseek(events, sent, SEEK_SET);
        for (int letter; (letter = fgetc(events)) != EOF; sent++) {
            DWORD event = letter == 'B' ? CTRL_BREAK_EVENT : CTRL_C_EVENT;
            /* 0: everything on this console. */
            if (!GenerateConsoleCtrlEvent(event, 0)) fail("send the event");
        }
        fclose(events);
    }
    DWORD code = 99;
    GetExitCodeProcess(child.hProcess, &code);
    return (int)code;
}
