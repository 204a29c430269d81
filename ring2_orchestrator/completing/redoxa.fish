# What redoxa can be told, completed by fish. Written by `redoxa completion fish`.

function __redoxa_completions
    set -l program @PROGRAM@
    test -x $program[1]; or set program redoxa
    set -l current (commandline -ct)
    set -l typed (commandline -opc)
    set -l words $typed[2..-1] "$current"
    if string match -qr '(^|/)redoxa-run$' -- $typed[1]
        set words run $words
    end
    set -l answer ($program completion answer -- $words 2>/dev/null)
    set -l begun (string match -r -- '^--[^=]*=' "$current")
    set -l path (string replace -- "$begun" '' "$current")

    switch "$answer[1]"
        case 'command *'
            set -l first (math 1 + (string replace 'command ' '' -- $answer[1]))
            set -l line (string escape -- $words[$first..-2]) "$current"
            complete -C (string join ' ' -- $line)
            return
        case files
            for place in (__fish_complete_path "$path")
                echo -- "$begun$place"
            end
        case folders
            for place in (__fish_complete_directories "$path" '')
                echo -- "$begun$place"
            end
    end
    for line in $answer[2..-1]
        echo -- $line
    end
end

complete -c redoxa -f -k -a '(__redoxa_completions)'
complete -c redoxa-run -f -k -a '(__redoxa_completions)'
