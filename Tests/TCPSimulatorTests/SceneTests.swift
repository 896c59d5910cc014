import Foundation
import TCPEngine
import TCPSimulator
import TCPTrace
import TCPWire
import Testing

@Suite("The scenes")
struct SceneTests {
    @Test("All that a scene says holds, with any seed, over IPv4 and IPv6", arguments: Scene.all.map(\.name))
    func checks(name: String) {
        for seed in UInt64(1)...5 {
            for ipv6 in [false, true] {
                let outcome = play(name, seed: seed, ipv6: ipv6)
                for check in outcome.checks { #expect(check.holds, "\(check.claim.english), seed \(seed)") }
                #expect(outcome.isIntact && !outcome.checks.isEmpty)
            }
        }
    }

    @Test("There are sixteen scenes with their variants, each with a name and a number of its own")
    func list() {
        let numbers = Scene.all.map(\.number)
        #expect(Set(numbers).count == numbers.count && Set(Scene.all.map(\.name)).count == numbers.count)
        for number in 1...16 { #expect(numbers.contains("S\(number)")) }
        for variant in ["S2b", "S2c", "S5b", "S6b", "S6c"] { #expect(numbers.contains(variant)) }
    }

    @Test("Every claim has a scene")
    func everyClaim() {
        let shown = Set(Scene.all.flatMap(\.claims))
        #expect(shown == Set(1...47))
    }

    @Test("A scene plays the same each time", arguments: Scene.all.map(\.name))
    func determinism(name: String) {
        let (first, second) = (play(name, seed: 9), play(name, seed: 9))
        #expect(first.parts.map { JSONLines.lines(of: $0.trace) } == second.parts.map { JSONLines.lines(of: $0.trace) })
    }

    @Test(
        "Each segment and each change of state has a sentence, in English and in Chinese",
        arguments: Scene.all.map(\.name))
    func narration(name: String) {
        for part in play(name).parts {
            for language in Language.allCases {
                var style = Ladder.Style()
                style.language = language
                style.foldsRunsOf = nil
                let lines = Ladder(part.trace, left: part.left, right: part.right, style: style).lines()
                #expect(lines.filter { $0.contains("Seq=") }.count == part.trace.segments.count)
                #expect(lines.allSatisfy { DisplayWidth.of($0) <= style.width }, "\(name) \(language)")
                #expect(!lines.contains { $0.contains("\u{1B}") })
                let arrows = lines.filter { $0.contains(" → ") }.count
                #expect(arrows >= part.trace.stateChanges.count)
                if language == .chinese { #expect(lines.allSatisfy(isChinese), "\(name)") }
            }
        }
    }

    /// Whether a line has no English in it but TCP's own words.
    private func isChinese(_ line: String) -> Bool {
        let words = line.split { !($0.isASCII && $0.isLetter) }.map { $0.lowercased() }
        let known: Set<String> = [
            "seq", "ack", "len", "win", "syn", "fin", "rst", "psh", "urg", "s", "ms", "tcp", "rfc", "msl", "sack",
            "accept",
            "close", "connect", "closed", "listen", "sent", "received", "established", "wait", "closing", "last",
            "time",
            "cookie", "µs",
        ]
        return words.allSatisfy(known.contains)
    }

    @Test("The table of claims is complete, and every test and scene it names exists")
    func table() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let table = try String(contentsOf: root.appending(path: "docs/claims.md"), encoding: .utf8)
        var sources = ""
        for file in ["OpeningClaimTests", "ClosingClaimTests"] {
            sources += try String(
                contentsOf: root.appending(path: "Tests/TCPSimulatorTests/\(file).swift"), encoding: .utf8)
        }
        var seen: Set<Int> = []
        for line in table.split(separator: "\n") where line.hasPrefix("| ") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard let number = Int(cells[0]) else { continue }
            seen.insert(number)
            let test = cells[1]
            #expect(
                sources.contains("\"\(test.replacingOccurrences(of: "\"", with: "\\\""))\""), "row \(number): \(test)")
            #expect(test.hasPrefix("Claim \(number):"))
            let scenes = cells[2].split(separator: ",").map {
                $0.trimmingCharacters(in: .whitespaces).filter { $0 != "`" }
            }
            #expect(!scenes.isEmpty)
            for scene in scenes {
                let known = Scene.named(scene)
                #expect(known?.claims.contains(number) ?? false, "row \(number): \(scene)")
            }
        }
        #expect(seen == Set(1...47))
    }
}
