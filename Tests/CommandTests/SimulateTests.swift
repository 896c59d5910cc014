import Foundation
import Testing

@Suite("tcp simulate")
struct SimulateTests {
    @Test("The list names sixteen scenes with their variants")
    func list() throws {
        let command = try Command.run("simulate", "--list")
        #expect(command.status == 0)
        for number in 1...16 { #expect(command.output.contains("S\(number) ")) }
        let objects = try Command.run("simulate", "--list", "--json").objects()
        #expect(objects.count >= 32 && objects.allSatisfy { $0["name"] is String && $0["title"] is String })
    }

    @Test("Every scene listed plays, in text and in JSON")
    func every() throws {
        for scene in try Command.run("simulate", "--list", "--json").objects() {
            let name = try #require(scene["name"] as? String)
            let text = try Command.run("simulate", name)
            #expect(text.status == 0 && text.errors.isEmpty && text.output.contains("✓"), "\(name)")
            let json = try Command.run("simulate", name, "--json")
            let objects = try json.objects()
            #expect(json.status == 0 && objects.last?["scenario"] as? String == name)
            #expect(objects.last?["intact"] as? Bool == true)
            let kinds = Set(objects.dropLast().compactMap { $0["event"] as? String })
            #expect(kinds == ["segment", "state"])
        }
    }

    @Test("A scene can be called by its number")
    func number() throws {
        #expect(try Command.run("simulate", "s5b").output == Command.run("simulate", "two-way").output)
    }

    @Test("A transfer's result tells time, goodput, share and retransmissions, which belong together")
    func transfer() throws {
        let command = try Command.run(
            "simulate", "transfer", "--bytes", "200KB", "--rate", "10Mbps", "--delay", "5ms", "--queue", "64KiB",
            "--loss",
            "1%", "--reorder", "2%", "--duplicate", "1%", "--corrupt", "0.5%", "--seed", "3", "--json")
        #expect(command.status == 0 && command.errors.isEmpty)
        let objects = try command.objects()
        let result = try #require(objects.last)
        #expect(result["event"] as? String == "result" && result["scenario"] as? String == "transfer")
        #expect(result["delivered"] as? Int == 200_000 && result["intact"] as? Bool == true)
        let seconds = try #require(result["seconds"] as? Double)
        let goodput = try #require(result["goodput"] as? Double)
        let share = try #require(result["share"] as? Double)
        #expect(abs(goodput * seconds - 1_600_000) < 10 && abs(share - goodput / 10e6) < 0.001)
        let segments = objects.filter { $0["event"] as? String == "segment" }
        #expect(segments.contains { $0["delivered"] as? Bool == false })
        // Data that carries a number below one already sent went again.
        #expect((result["retransmitted"] as? Int ?? 0) > 0)
        let brief = try Command.run(
            "simulate", "transfer", "--bytes", "200KB", "--rate", "10Mbps", "--delay", "5ms", "--queue", "64KiB",
            "--loss",
            "1%", "--reorder", "2%", "--duplicate", "1%", "--corrupt", "0.5%", "--seed", "3", "--json", "--summary")
        #expect(brief.lines == [command.lines.last])
    }

    @Test("A clean link is nearly filled, and nothing is sent again")
    func cleanTransfer() throws {
        let command = try Command.run(
            "simulate", "transfer", "--bytes", "2MB", "--rate", "10Mbps", "--delay", "1ms", "--queue", "1MiB", "--json",
            "--summary")
        let result = try #require(command.objects().last)
        #expect((result["share"] as? Double ?? 0) > 0.9 && result["retransmitted"] as? Int == 0)
    }

    @Test(
        "Each wrong use is one sentence on standard error, and exit code 64",
        arguments: [
            ["simulate", "no-such-scene"], ["simulate"], ["demo", "--bytes", "many"], ["demo", "--bytes", "-5"],
            ["demo", "--bytes", "2GiB"], ["demo", "--language", "fr"], ["demo", "--seed", "x"], ["demo", "--nonsense"],
            ["nonsense"], ["simulate", "transfer", "--rate", "fast"], ["simulate", "transfer", "--rate", "0Mbps"],
            ["simulate", "transfer", "--delay", "10"], ["simulate", "transfer", "--queue", "100"],
            ["simulate", "transfer", "--loss", "2"], ["simulate", "transfer", "--loss", "101%"],
            ["simulate", "transfer", "--loss", "60%", "--corrupt", "50%"],
            ["simulate", "transfer", "--reorder", "yes"],
            ["simulate", "transfer", "--congestion", "vegas"], ["simulate", "transfer", "--congestion", "cubic,"],
            ["simulate", "transfer", "--congestion", "cubic,bbr"], ["simulate", "transfer", "--flows", "0"],
            ["simulate", "transfer", "--flows", "257"], ["simulate", "transfer", "--flows", "many"],
            ["simulate", "transfer", "--jitter", "11ms"], ["simulate", "transfer", "--jitter", "10"],
            ["simulate", "transfer", "--reorder-delay", "10ms"], ["simulate", "transfer", "--duration", "0s"],
            ["simulate", "transfer", "--duration", "1s", "--bytes", "1MB"],
            ["simulate", "transfer", "--duration", "1s", "--flows", "3", "--stagger", "500ms"],
            ["simulate", "transfer", "--duration", "1s", "--warm-up", "1s"],
            ["simulate", "transfer", "--mark", "128KiB"], ["simulate", "transfer", "--ecn", "--accurate-ecn"],
            ["simulate", "transfer", "--loss", "50%", "--data-loss", "50%"],
            ["simulate", "grid", "--short", "--full"], ["simulate", "grid", "--json", "--markdown"],
            ["simulate", "grid", "--jobs", "0"], ["simulate", "grid", "--congestion", "reno"],
        ])
    func usage(arguments: [String]) throws {
        let command = try Command.run(arguments)
        #expect(command.status == 64 && command.output.isEmpty)
        let lines = command.errors.split(separator: "\n")
        #expect(lines.count == 1 && command.errors.hasPrefix("Error: ") && lines[0].hasSuffix("."), "\(command.errors)")
        #expect(!command.errors.contains("Fatal") && !command.errors.contains("0x"))
    }

    @Test(
        "Help can be learnt from",
        arguments: [
            ["--help"], ["demo", "--help"], ["simulate", "--help"], ["simulate", "transfer", "--help"],
            ["simulate", "grid", "--help"],
            ["help", "demo"],
        ])
    func help(arguments: [String]) throws {
        let command = try Command.run(arguments)
        #expect(command.status == 0 && command.errors.isEmpty && command.output.contains("USAGE"))
        #expect(command.output.contains("OPTIONS"))
    }

    @Test("The version is told")
    func version() throws {
        let command = try Command.run("--version")
        #expect(command.status == 0 && command.output.split(separator: ".").count == 3)
    }
}
