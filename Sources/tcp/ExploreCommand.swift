internal import ArgumentParser
internal import TCPExplorer
internal import TCPTrace

/// `tcp explore`: every order in which things can happen, to a depth.
struct ExploreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explore",
        abstract: "Try every order of delivery, loss, duplication and delay, on the real engine.",
        discussion: """
            Two stacks and the packets between them are a world. From each world every next step is tried: any packet \
            arrives, arrives and leaves a copy behind, or is lost; any timer fires while everything on its way is held; a \
            program does what it does next. Worlds that were seen are known again by a hash of their whole state. In each, \
            both ends must agree on the octets, no end may hold a connection for open that the other never had, nothing may \
            wait without a timer, and a fair network must lead to both ends closed and all memory given back.

            The kinds: 'open' (with old packets of an earlier connection), 'close', 'open-close', 'simultaneous', 'reset'. \
            What does not hold is drawn as a ladder and written as a packet script, shortest first.
            """)

    @Argument(
        help: "What to explore: open, close, open-close, simultaneous or reset.",
        transform: { text in
            guard let kind = ExplorationKind(rawValue: text) else {
                throw ValidationError("Explore open, close, open-close, simultaneous or reset; not '\(text)'")
            }
            return kind
        })
    var kind: ExplorationKind

    @Option(help: "The most steps of a path. By default what takes a few minutes.")
    var depth: Int?

    @Flag(help: "Print one JSON object a line, and nothing else.")
    var json = false

    @Option(help: "The number that the stacks' secrets come from.")
    var seed: UInt64 = 1

    @Option(help: "The folder that scripts of what does not hold are written to. By default this one.")
    var output = "."

    func validate() throws {
        if let depth, !(1...64).contains(depth) {
            throw ValidationError("'--depth' is a number of steps from 1 to 64")
        }
    }

    func run() throws {
        let exploration = Exploration(kind, depth: depth, seed: seed)
        let result = exploration.run { scene, states, transitions in
            let figures = "\(NumberText.grouped(states)) states, \(NumberText.grouped(transitions)) transitions"
            Terminal.progress("\(kind.rawValue), \(scene): \(figures)")
        }
        Terminal.progress("", isLast: true)
        if json {
            Terminal.say(result.jsonLines)
        } else {
            Terminal.say(text(result))
        }
        for (number, violation) in result.violations.enumerated() {
            let file = "\(output)/explore-\(kind.rawValue)-\(number + 1).pkt"
            try TextFile.write(violation.script(), to: file)
            if !json { Terminal.say(["", "Written as \(file)"] + ladder(violation)) }
        }
        if json { Terminal.say([result.resultLine]) }
        guard result.isComplete else {
            Terminal.complain("There are more worlds than fit into memory: choose a smaller '--depth'.")
            throw ExitCode.failure
        }
        guard result.violations.isEmpty else { throw ExitCode.failure }
    }

    private func text(_ result: ExplorationResult) -> [String] {
        var lines = ["\(kind.rawValue), every path of up to \(result.depth) steps", ""]
        for scene in result.scenes {
            let figures =
                "\(NumberText.grouped(scene.states)) states, \(NumberText.grouped(scene.transitions)) transitions"
            lines.append("  \(scene.violations == 0 ? "✓" : "✗") \(scene.name): \(figures)")
        }
        lines.append("")
        lines.append(
            "\(NumberText.grouped(result.states)) states, \(NumberText.grouped(result.transitions)) transitions, \(result.violations.count) violations"
        )
        return lines
    }

    private func ladder(_ violation: Violation) -> [String] {
        var style = Ladder.Style()
        style.width = Terminal.width
        style.usesColor = Terminal.usesColor
        style.foldsRunsOf = nil
        return ["\(violation.rule), in '\(violation.sceneName)': \(violation.explanation)", ""]
            + violation.steps().enumerated().map { "  \($0.offset + 1). \($0.element)" } + [""]
            + Ladder(violation.trace(), style: style).lines()
    }
}
