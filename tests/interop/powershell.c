/* Stands for Windows PowerShell in the lab's drive C:. It knows the one command that the product gives
   it, [int[]][char[]]$env:NAME, whose result PowerShell prints as one decimal number a line (UTF-16
   units), and answers anything else as PowerShell answers what it cannot parse: with 1. For tests only. */
#include <stdio.h>
#include <wchar.h>
#include <windows.h>

int wmain(int count, wchar_t **words) {
    static const wchar_t *options[] = {L"-NoProfile", L"-NonInteractive", L"-Command"};
    static const wchar_t prefix[] = L"[int[]][char[]]$env:";
    static wchar_t value[32768];
    const wchar_t *letter;
    int n;
    if (count != 5) {
        fprintf(stderr, "powershell: %d words\n", count);
        return 1;
    }
    for (n = 0; n < 3; n++) {
        if (wcscmp(words[n + 1], options[n]) != 0) {
            fprintf(stderr, "powershell: %ls is not %ls\n", words[n + 1], options[n]);
            return 1;
        }
    }
    if (wcsncmp(words[4], prefix, wcslen(prefix)) != 0) {
        fprintf(stderr, "powershell: ParserError: %ls\n", words[4]);
        return 1;
    }
    /* $null for a variable that is not set: nothing is printed, which is no error. */
    GetEnvironmentVariableW(words[4] + wcslen(prefix), value, 32768);
    for (letter = value; *letter; letter++)
        printf("%u\n", (unsigned)*letter);
    return 0;
}
