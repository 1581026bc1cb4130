/* Adds a byte to a file ten times a second, for a minute: tick.exe FILE
 *
 * tests/wine/run sees by it whether a process still runs.
 */
#include <stdio.h>
#include <windows.h>

int main(int count, char **given) {
    if (count != 2) return 2;
    for (int left = 600; left > 0; left--) {
        FILE *file = fopen(given[1], "ab");
        if (!file) return 1;
        fputc('.', file);
        fclose(file);
        Sleep(100);
    }
    return 0;
}
