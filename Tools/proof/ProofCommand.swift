import ArgumentParser
import Glibc
import ProofKit

/// The proofs that no single test gives: that every rule has a test, and that every test has something to notice.
@main
struct ProofCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proof", abstract: "Checks the tests: every rule has one, and small faults do not pass them.",
        subcommands: [RequirementsCommand.self, MutantsCommand.self])
}

/// Ends the command with one sentence on standard error.
func fail(_ sentence: String) -> ExitCode {
    complain(sentence)
    return ExitCode(1)
}

/// A line on standard error.
func complain(_ sentence: String) {
    let bytes = Array((sentence + "\n").utf8)
    _ = write(2, bytes, bytes.count)
}

struct RequirementsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requirements",
        abstract: "Writes Requirements.md and docs/attacks.md from the lists of rules and the tests.")

    @Flag(help: "Write nothing; fail when a page is stale, or a rule has neither a test nor a reason.")
    var check = false

    func run() throws {
        do {
            let requirements = try Requirements(root: ".")
            let attacks = try Attacks(requirements, root: ".")
            let pages = [("Requirements.md", requirements.page()), (Attacks.path, attacks.page())]
            let faults = requirements.faults() + attacks.faults()
            for fault in faults { complain(fault) }
            if !faults.isEmpty { throw fail("\(faults.count) faults in the rules and their tests.") }
            for (path, page) in pages {
                if !check {
                    try Files.write(page, to: path)
                } else if try !Files.exists(path) || Files.text(path) != page {
                    throw fail("\(path) is stale: run “swift run -c release proof requirements”.")
                }
            }
            let tested = Set(requirements.annotations.flatMap(\.ids))
            let met = requirements.rows.filter { tested.contains($0.id) }.count
            print("\(requirements.rows.count) rules, \(met) with tests")
        } catch let error as ProofError {
            throw fail(error.description)
        }
    }
}

struct MutantsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutants",
        abstract: "Makes small faults in the core, one at a time, and runs the fast tests on each.")

    @Option(parsing: .upToNextOption, help: "Only these, by their ids.")
    var only: [String] = []

    @Option(help: "Only a part, as 3/10: the mutants whose place in the list leaves 3 when divided by 10.")
    var part: String?

    @Flag(help: "Say what there is, with file and line, and run nothing.")
    var list = false

    @Flag(help: "Say everything as lines of JSON.")
    var json = false

    @Flag(help: "Name those that nothing noticed, and succeed all the same.")
    var report = false

    @Flag(help: "Do not build: what is in .build-mutants is used as it is.")
    var skipBuild = false

    func validate() throws {
        if part != nil, selection == nil {
            throw ValidationError("--part is two numbers, as 3/10, the first the smaller.")
        }
    }

    @Flag(help: "Leave out the tests that take long: what survives the others may still be noticed by those.")
    var quick = false

    private var selection: (remainder: Int, divisor: Int)? {
        guard let numbers = part?.split(separator: "/").map({ Int($0) }), numbers.count == 2,
            let remainder = numbers[0],
            let divisor = numbers[1], remainder >= 0, remainder < divisor
        else { return nil }
        return (remainder, divisor)
    }

    func run() throws {
        do {
            try runAll()
        } catch let error as ProofError {
            throw fail(error.description)
        }
    }

    private func runAll() throws {
        let mutants = try MutantList(root: ".").mutants
        for id in only where !mutants.contains(where: { $0.id == id }) {
            throw fail("There is no mutant \(id): see --list.")
        }
        var package = MutantPackage(root: ".", mutants: mutants)
        _ = try package.sources()
        let lines = package.lines
        var numbers = Array(1...mutants.count)
        if !only.isEmpty { numbers = numbers.filter { only.contains(mutants[$0 - 1].id) } }
        if let selection { numbers = numbers.filter { $0 % selection.divisor == selection.remainder } }
        if list {
            for number in numbers { print(line(mutants[number - 1], lines[number - 1])) }
            return
        }
        if !skipBuild { try package.write() }
        var run = MutantRun(package)
        if !skipBuild { try run.build() }
        run.isQuick = quick
        if skipBuild, try run.reuseUnchanged() {
            // The tests passed without a mutant when this build was made.
        } else {
            let seconds = try run.runUnchanged()
            if !json { print("the tests pass without a mutant, in \(tenths(seconds)) s of processor time") }
        }
        fflush(nil)
        let results = try Workers(run, numbers) { number, verdict in
            report(mutants[number - 1], lines[number - 1], verdict)
        }
        .results()
        let survivors = numbers.filter { results[$0] == .survived }
        if json {
            print(
                "{\"event\":\"result\",\"mutants\":\(numbers.count),\"noticed\":\(numbers.count - survivors.count),\"survived\":\(survivors.count)}"
            )
        } else {
            if !survivors.isEmpty { print("\nNothing noticed:") }
            for number in survivors { print(line(mutants[number - 1], lines[number - 1])) }
            print("\(numbers.count) mutants, \(numbers.count - survivors.count) noticed, \(survivors.count) survived")
        }
        if !survivors.isEmpty, !report { throw ExitCode(1) }
    }

    private func tenths(_ seconds: Double) -> String { "\(Double(Int(seconds * 10)) / 10)" }

    private func line(_ mutant: Mutant, _ line: Int) -> String {
        "\(mutant.id) \(mutant.file):\(line) \(mutant.sentence)"
    }

    private func report(_ mutant: Mutant, _ line: Int, _ verdict: Verdict) {
        let word: String
        var how = ""
        switch verdict {
        case .failed(let test): (word, how) = ("noticed", test)
        case .ended(let signal): (word, how) = ("noticed", "ended by \(signal)")
        case .survived: word = "survived"
        }
        if json {
            print(
                "{\"event\":\"mutant\",\"id\":\(quoted(mutant.id)),\"file\":\(quoted(mutant.file)),\"line\":\(line),\"result\":\"\(word)\",\"by\":\(quoted(how))}"
            )
        } else {
            print("\(word) \(mutant.id) \(mutant.file):\(line)\(how.isEmpty ? "" : "  \(how)")")
        }
        fflush(nil)
    }

    private func quoted(_ text: String) -> String {
        var result = "\""
        for character in text.unicodeScalars {
            switch character {
            case "\"", "\\": result += "\\\(character)"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default: if character.value >= 32 { result.unicodeScalars.append(character) }
            }
        }
        return result + "\""
    }
}
