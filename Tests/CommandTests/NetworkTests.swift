import Foundation
import Testing

@Suite("tcp simulate transfer and grid, on bad networks")
struct NetworkTests {
    /// The result of a transfer.
    private func transfer(_ arguments: String...) throws -> [String: Any] {
        let command = try Command.run(["simulate", "transfer", "--json", "--summary"] + arguments)
        #expect(command.status == 0 && command.errors.isEmpty, "\(command.errors)")
        let result = try #require(command.objects().last)
        #expect(result["intact"] as? Bool == true)
        return result
    }

    @Test("Several connections have a goodput each, and their fairness is Jain's index with four digits")
    func flows() throws {
        let command = try Command.run(
            "simulate", "transfer", "--flows", "3", "--congestion", "cubic,newreno,bbr", "--duration", "400ms",
            "--rate", "5Mbps", "--json", "--summary")
        let result = try #require(command.objects().last)
        let flows = try #require(result["flows"] as? [Double])
        let goodput = try #require(result["goodput"] as? Double)
        #expect(flows.count == 3 && flows.allSatisfy { $0 > 0 } && abs(flows.reduce(0, +) - goodput) <= 2)
        #expect(abs((result["share"] as? Double ?? 0) - goodput / 5e6) < 0.0001)
        #expect(result["seconds"] as? Double == 0.4)
        let jain = try #require(result["jain"] as? Double)
        #expect(jain > 1.0 / 3 && jain <= 1)
        let digits = command.output.split(separator: "\"jain\":").last?.prefix { $0 != "}" && $0 != "," }
        #expect(digits?.count == 6)
        let text = try Command.run(
            "simulate", "transfer", "--flows", "3", "--congestion", "cubic,newreno,bbr", "--bytes", "20KB")
        for name in ["cubic", "newreno", "bbr", "Jain"] { #expect(text.output.contains(name)) }
    }

    @Test("One connection is fair, and its goodput that of all")
    func single() throws {
        let result = try transfer("--bytes", "100KB")
        #expect(result["jain"] as? Double == 1)
        let goodput = try #require(result["goodput"] as? Double)
        #expect(result["flows"] as? [Double] == [goodput])
    }

    @Test("Losses of data alone spare acknowledgments, and what is lost is sent again")
    func dataLoss() throws {
        let result = try transfer("--bytes", "150KB", "--data-loss", "4%", "--seed", "5", "--queue", "1MiB")
        let lost = try #require(result["lost"] as? Int)
        #expect(lost > 0 && result["retransmitted"] as? Int ?? 0 >= lost && result["dropped"] as? Int == 0)
        let sum = (result["spurious"] as? Int ?? 0) + lost
        #expect(result["retransmitted"] as? Int == sum)
    }

    @Test("Jitter and late packets lose nothing, and show in the time")
    func disorder() throws {
        let clean = try transfer("--bytes", "80KB")
        for faults in [["--jitter", "10ms"], ["--reorder", "3%", "--reorder-delay", "10ms"]] {
            let result = try transfer(faults[0], faults[1], "--bytes", "80KB", "--seed", "2")
            #expect(result["lost"] as? Int == 0, "\(faults)")
            #expect(result["seconds"] as? Double != clean["seconds"] as? Double, "\(faults)")
        }
    }

    @Test("Nothing is marked where nobody is ECN-capable, and the least that waits is told with the most")
    func marks() throws {
        let result = try transfer("--bytes", "150KB", "--mark", "20KiB", "--rate", "10Mbps")
        #expect(result["marked"] as? Int == 0)
        let (mean, most) = (result["queue_mean"] as? Double ?? -1, result["queue_max"] as? Int ?? -1)
        #expect(mean > 0 && mean < Double(most) && most <= 131_072)
        _ = try transfer("--bytes", "40KB", "--mark", "20KiB", "--ecn")
        _ = try transfer("--bytes", "40KB", "--mark", "20KiB", "--accurate-ecn")
    }

    // 16 MB a connection: release builds only.
    #if !DEBUG
        @Test("A grid is a line a network with its bound and what was reached, and a last line that counts them")
        func grid() throws {
            let command = try Command.run("simulate", "grid", "--short", "--congestion", "newreno", "--json")
            let objects = try command.objects()
            let result = try #require(objects.last)
            #expect(result["event"] as? String == "result" && result["scenario"] as? String == "grid")
            #expect(result["cells"] as? Int == objects.count - 1 && objects.count > 1)
            let below = objects.count { $0["reached"] as? Bool == false }
            #expect(result["below"] as? Int == below && command.status == (below > 0 ? 1 : 0))
            for cell in objects.dropLast() {
                #expect(cell["event"] as? String == "cell" && cell["congestion"] as? String == "newreno")
                let goodput = try #require(cell["goodput"] as? Double)
                let rate = try #require(cell["rate"] as? Double)
                #expect(abs((cell["share"] as? Double ?? 0) - goodput / rate) < 0.0001)
                #expect(cell["bound"] as? Double ?? 0 > 0 && cell["intact"] as? Bool == true)
                for key in [
                    "rtt_ms", "queue", "loss", "reordering", "flows", "retransmitted", "spurious", "queue_mean", "jain",
                    "required",
                ] { #expect(cell[key] is NSNumber, "\(key)") }
            }
        }

        @Test("The grid comes as a table in both languages, as a page, and the same with any number of jobs")
        func gridTexts() throws {
            let arguments = ["simulate", "grid", "--short", "--congestion", "newreno,bbr"]
            let one = try Command.run(arguments + ["--jobs", "1"])
            #expect(try Command.run(arguments + ["--jobs", "4"]).output == one.output)
            #expect(one.output.contains("50 Mbit/s, 20 ms, 128 KiB, loss 1 %") && one.output.contains("networks"))
            #expect(one.lines.allSatisfy { $0.count <= 104 })
            #expect(try Command.run(arguments + ["--language", "zh"]).output.contains("网络"))
            let page = try Command.run(arguments + ["--markdown"])
            #expect(page.lines.first?.hasPrefix("# ") == true)
            let rows = page.lines.filter { $0.hasPrefix("|") }
            #expect(Set(rows.map { $0.count { $0 == "|" } }).count == 1)
            let cells = try Command.run(arguments + ["--json"]).objects().count - 1
            #expect(rows.count == cells + 2)
        }
    #endif
}
