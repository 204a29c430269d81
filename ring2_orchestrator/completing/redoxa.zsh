#compdef redoxa redoxa-run
# What redoxa can be told, completed by zsh. Written by `redoxa completion zsh`.

_redoxa() {
    local -a program=(@PROGRAM@) typed answer described
    local line word
    local -i first=1

    typed=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    if [[ ${words[1]:t} == redoxa-run ]]; then
        typed=(run "${typed[@]}")
        first=0
    fi
    [[ -x ${program[1]} ]] || program=(redoxa)
    answer=("${(@f)$("${program[@]}" completion answer -- "${typed[@]}" 2>/dev/null)}")

    if [[ ${answer[1]} == command\ * ]]; then
        first+=${answer[1]#command }
        shift $first words
        ((CURRENT -= first))
        _normal
        return
    fi
    for line in "${(@)answer[2,-1]}"; do
        [[ -n $line ]] || continue
        word=${${line%%$'\t'*}//:/\\:}
        line=${line#*$'\t'}
        described+=("$word${line:+:$line}")
    done
    local -i found=1
    if (($#described)); then
        _describe -V redoxa described && found=0
    fi
    [[ $PREFIX == --*=* ]] && compset -P '*='
    case ${answer[1]} in
        files) _files && found=0 ;;
        folders) _files -/ && found=0 ;;
    esac
    return found
}

if [[ ${funcstack[1]} == _redoxa ]]; then
    _redoxa "$@"
else
    compdef _redoxa redoxa redoxa-run
fi
