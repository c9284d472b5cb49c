/* A library that a stranger put beside the relay. A process that loads it ends at once, with a
unique
   code. For tests only. */
#include <windows.h>

BOOL WINAPI DllMain(HINSTANCE library, DWORD reason, LPVOID reserved) {
    if (reason == DLL_PROCESS_ATTACH)
        TerminateProcess(GetCurrentProcess(), 77);
    return TRUE;
}
