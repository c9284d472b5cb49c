/* Stands for Windows PowerShell in the lab's drive C:. It supports the product's commands,
   and treats everything else like PowerShell treats a syntax error: exit code 1. For tests only.
   - [int[]][char[]]$env:NAME: PowerShell prints the result as one decimal number a line (UTF-16 units).
   - exit 7
   - & 'PROGRAM' --version; exit $LASTEXITCODE: if Windows does not start the program, PowerShell
     reports an error and continues, so $LASTEXITCODE is not set and the exit code is 0. After
     $ErrorActionPreference = 'Stop'; the error ends it with 1 (about_Preference_Variables). */
#include <stdio.h>
#include <wchar.h>
#include <windows.h>

static const wchar_t stop[] = L"$ErrorActionPreference = 'Stop'; ";
static const wchar_t call[] = L"& '";
static const wchar_t rest[] = L"' --version; exit $LASTEXITCODE";

/* Runs the program of a command that begins after `call`. */
static int run(const wchar_t *text, int stops) {
    static wchar_t path[32768], line[32768];
    const wchar_t *end = wcsstr(text, rest), *name;
    STARTUPINFOW start = {sizeof start};
    PROCESS_INFORMATION process;
    DWORD code = 1;
    if (!end || end[wcslen(rest)]) {
        fprintf(stderr, "powershell: ParserError: %ls\n", text);
        return 1;
    }
    wmemcpy(path, text, end - text);
    swprintf(line, 32768, L"\"%ls\" --version", path);
    name = wcsrchr(path, L'\\') ? wcsrchr(path, L'\\') + 1 : path;
    if (!CreateProcessW(path, line, NULL, NULL, TRUE, 0, NULL, NULL, &start, &process)) {
        fprintf(stderr, "Program '%ls' failed to run: error %lu\n", name, GetLastError());
        return stops ? 1 : 0;
    }
    WaitForSingleObject(process.hProcess, INFINITE);
    GetExitCodeProcess(process.hProcess, &code);
    return code;
}

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
    if (wcscmp(words[4], L"exit 7") == 0)
        return 7;
    if (wcsncmp(words[4], call, wcslen(call)) == 0)
        return run(words[4] + wcslen(call), 0);
    if (wcsncmp(words[4], stop, wcslen(stop)) == 0 && wcsncmp(words[4] + wcslen(stop), call, wcslen(call)) == 0)
        return run(words[4] + wcslen(stop) + wcslen(call), 1);
    if (wcsncmp(words[4], prefix, wcslen(prefix)) != 0) {
        fprintf(stderr, "powershell: ParserError: %ls\n", words[4]);
        return 1;
    }
    /* $null for a variable that is not set: nothing is printed, without an error. */
    GetEnvironmentVariableW(words[4] + wcslen(prefix), value, 32768);
    for (letter = value; *letter; letter++)
        printf("%u\n", (unsigned)*letter);
    return 0;
}
