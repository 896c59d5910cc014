import Foundation
import Testing

@Suite("tcp demo")
struct DemoTests {
    private func integer(_ object: [String: Any], _ key: String) -> Int { object[key] as? Int ?? -1 }

    private func states(_ objects: [[String: Any]], _ end: String) -> [String] {
        objects.filter { $0["event"] as? String == "state" && $0["endpoint"] as? String == end }
            .compactMap { $0["to"] as? String }
    }

    @Test(
        "With --json it shows the handshake, both ends' states, the close, TIME-WAIT for 2 MSL, and that all arrived",
        arguments: [[], ["--ipv6"], ["--seed", "99"], ["--bytes", "1"], ["--bytes", "1MB"]])
    func json(extra: [String]) throws {
        let command = try Command.run(["demo", "--json"] + extra)
        #expect(command.status == 0 && command.errors.isEmpty)
        let objects = try command.objects()
        let segments = objects.filter { $0["event"] as? String == "segment" }
        let flags = segments.map { $0["flags"] as? [String] ?? [] }
        #expect(flags.prefix(3).elementsEqual([["SYN"], ["SYN", "ACK"], ["ACK"]]))
        #expect(segments[0]["ack"] == nil)
        #expect(integer(segments[1], "ack") == (integer(segments[0], "seq") + 1) & 0xFFFF_FFFF)
        #expect(integer(segments[2], "ack") == (integer(segments[1], "seq") + 1) & 0xFFFF_FFFF)
        #expect(
            states(objects, "client") == [
                "SYN-SENT", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED",
            ])
        #expect(
            states(objects, "server") == [
                "LISTEN", "SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED",
            ])
        #expect(flags.suffix(4).elementsEqual([["FIN", "ACK"], ["ACK"], ["FIN", "ACK"], ["ACK"]]))
        let times = objects.filter { $0["endpoint"] as? String == "client" }.suffix(2).compactMap {
            $0["time"] as? Double
        }
        #expect(times.count == 2 && (60.0..<60.1).contains(times[1] - times[0]))
        let result = try #require(objects.last)
        #expect(result["event"] as? String == "result" && result["scenario"] as? String == "demo")
        #expect(result["intact"] as? Bool == true)
        let bytes = extra.contains("1MB") ? 1_000_000 : extra.contains("1") ? 1 : 65_536
        #expect(integer(result, "delivered") == bytes)
        let carried = segments.filter { $0["from"] as? String == "client" }.reduce(0) { $0 + integer($1, "length") }
        #expect(carried >= bytes)
    }

    @Test("For people it tells each step, in the RFC's state names, and the result")
    func english() throws {
        let command = try Command.run("demo")
        #expect(command.status == 0 && command.errors.isEmpty)
        for word in [
            "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "LAST-ACK",
            "TIME-WAIT",
            "(rel 0)", "all 65,536 octets arrived", "2 MSL",
        ] { #expect(command.output.contains(word), "\(word)") }
        #expect(!command.output.unicodeScalars.contains { (0x4E00...0x9FFF).contains($0.value) })
        #expect(command.lines.allSatisfy { $0.count <= 80 })
    }

    @Test(
        "The Chinese page has no English sentence in it",
        arguments: [
            (["demo", "--language", "zh"], [:]), (["demo"], ["LANG": "zh_CN.UTF-8"]),
            (["demo"], ["LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"]),
            (["simulate", "--list"], ["LC_MESSAGES": "zh_CN"]),
            (["simulate", "syn-flood", "--language", "zh"], [:]),
            (["simulate", "transfer", "--bytes", "100KB", "--language", "zh"], [:]),
        ] as [([String], [String: String])])
    func chinese(arguments: [String], environment: [String: String]) throws {
        let command = try Command.run(arguments, environment: environment)
        #expect(command.status == 0)
        #expect(command.output.unicodeScalars.contains { (0x4E00...0x9FFF).contains($0.value) })
        let articles: Set<String> = [
            "the", "is", "of", "and", "to", "that", "its", "for", "are", "this", "it", "a", "an",
        ]
        for line in command.lines {
            // The scenes' names are what one types, in any language: words joined by hyphens.
            let words = line.split { !($0.isASCII && $0.isLetter || $0 == "-") }.filter { !$0.contains("-") }
                .map { $0.lowercased() }
            #expect(words.allSatisfy { !articles.contains($0) }, "\(line)")
        }
    }

    @Test("An English environment is not overruled by one of lesser rank")
    func localeOrder() throws {
        let command = try Command.run("demo", environment: ["LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"])
        #expect(command.output.contains("The life of a TCP connection"))
    }

    @Test("Nothing is coloured when standard output is no terminal")
    func noColour() throws {
        for arguments in [["demo"], ["simulate", "close"], ["simulate", "--list"]] {
            #expect(!(try Command.run(arguments).output.contains("\u{1B}")))
        }
    }

    @Test("The same seed prints the same page, another seed another")
    func seeds() throws {
        let first = try Command.run("demo", "--json", "--seed", "4").output
        #expect(try Command.run("demo", "--json", "--seed", "4").output == first)
        #expect(try Command.run("demo", "--json", "--seed", "5").output != first)
    }
}
