# What redoxa can be told, completed by bash. Written by `redoxa completion bash`.

_redoxa() {
    local -a program=(@PROGRAM@) words=() at=() answer=()
    local rest=${COMP_LINE:0:COMP_POINT} bare word line places prefix i
    COMPREPLY=()

    # bash cuts words at = : and @, too; here they are as they were typed, up to the cursor.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        bare=${rest#"${rest%%[![:space:]]*}"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$bare
        if ((i == 0)) || [[ $bare != "$rest" ]]; then
            words+=("$word") at+=("$i")
        else
            words[-1]+=$word
        fi
        rest=${bare#"$word"}
    done
    local typed=${words[-1]}
    for i in "${!words[@]}"; do
        word=${words[i]//\\ / }
        words[i]=${word//[\"\']/}
    done

    local first=1
    if [[ ${words[0]##*/} == redoxa-run ]]; then
        words=(redoxa run "${words[@]:1}")
        first=0
    fi
    [[ -x ${program[0]} ]] || program=(redoxa)
    mapfile -t answer < <("${program[@]}" completion answer -- "${words[@]:1}" 2>/dev/null)
    places=${answer[0]-words}

    if [[ $places == command\ * ]]; then
        i=${at[${places#command } + first]}
        if declare -F _comp_command_offset >/dev/null; then
            _comp_command_offset "$i"
        elif declare -F _command_offset >/dev/null; then
            _command_offset "$i"
        else
            compopt -o bashdefault -o default
            ((i == COMP_CWORD)) && mapfile -t COMPREPLY < <(compgen -c -- "$typed")
        fi
        return
    fi

    # Only what stands behind the last of those characters is replaced by bash.
    prefix=${typed%"${typed##*[${COMP_WORDBREAKS//[\"\'[:space:]]/}]}"}
    for line in "${answer[@]:1}"; do
        word=${line%%$'\t'*}
        [[ -n ${word#"$prefix"} ]] && COMPREPLY+=("${word#"$prefix"}")
    done
    case $places in
        files)
            compopt -o filenames -o default
            if ((${#COMPREPLY[@]})); then
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${typed#"$prefix"}")
            fi
            ;;
        folders) compopt -o filenames -o dirnames ;;
    esac
}

complete -F _redoxa redoxa redoxa-run
