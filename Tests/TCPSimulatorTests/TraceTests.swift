import Foundation
import TCPSimulator
import TCPTrace
import TCPWire
import Testing

@Suite("Words, numbers and drawings")
struct TraceTests {
    @Test("Chinese characters take two columns, combining marks none")
    func width() {
        #expect(DisplayWidth.of("abc") == 3 && DisplayWidth.of("握手") == 4 && DisplayWidth.of("，。") == 4)
        #expect(DisplayWidth.of("e\u{301}") == 1 && DisplayWidth.of("─▶✗→") == 4)
        #expect("握手".padded(to: 6) == "握手  " && "握手".rightAligned(to: 5) == " 握手")
    }

    @Test("Lines break between words or wide characters, and never before a closing mark")
    func wrapping() {
        #expect("one two three".wrapped(to: 8) == ["one two", "three"])
        let lines = "三次握手建立连接，四次挥手关闭连接。".wrapped(to: 10)
        #expect(lines.allSatisfy { DisplayWidth.of($0) <= 10 } && lines.joined() == "三次握手建立连接，四次挥手关闭连接。")
        #expect(!lines.contains { $0.hasPrefix("，") || $0.hasPrefix("。") })
        #expect("".wrapped(to: 10) == [""])
    }

    @Test("The language follows the locale's name")
    func language() {
        #expect(Language(locale: "zh_CN.UTF-8") == .chinese && Language(locale: "zh") == .chinese)
        #expect(Language(locale: "en_GB") == .english && Language(locale: "C") == .english)
        #expect(Language(locale: "zhx") == .english && Language(locale: "") == .english)
    }

    @Test("Numbers are written as people and programs read them")
    func numbers() {
        #expect(NumberText.fixed(1.005, digits: 1) == "1.0" && NumberText.fixed(-0.25, digits: 2) == "-0.25")
        #expect(NumberText.fixed(0.999, digits: 2) == "1.00" && NumberText.fixed(12, digits: 0) == "12")
        #expect(NumberText.seconds(20_000_000) == "0.02" && NumberText.seconds(-1) == "-0.000000001")
        #expect(NumberText.grouped(1_234_567) == "1,234,567" && NumberText.grouped(-12) == "-12")
        #expect(NumberText.bytes(65_536) == "64 KiB" && NumberText.bytes(300) == "300")
        #expect(NumberText.rate(50e6) == "50 Mbit/s" && NumberText.duration(.milliseconds(1500)) == "1.5 s")
    }

    @Test("Each line of JSON is an object with the keys that belong to it")
    func json() throws {
        let trace = play("close").trace
        for line in JSONLines.lines(of: trace) {
            let object = try #require(
                JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            if object["event"] as? String == "segment" {
                let flags = try #require(object["flags"] as? [String])
                #expect((object["ack"] != nil) == flags.contains("ACK"))
                #expect(
                    Set(object.keys).subtracting(["ack"]) == [
                        "event", "time", "from", "to", "flags", "seq", "window", "length", "delivered",
                    ])
            } else {
                #expect(Set(object.keys) == ["event", "time", "endpoint", "from", "to"])
            }
        }
        #expect(JSONObject.quoted("a\"b\\c\n\u{1}") == "\"a\\\"b\\\\c\\n\\u0001\"")
    }

    @Test("A long run of data is folded into one drawing that counts it")
    func folding() {
        let trace = Demo().play().trace
        var style = Ladder.Style()
        style.foldsRunsOf = 4
        style.foldsLosses = true
        let folded = Ladder(trace, style: style).lines()
        #expect(folded.contains { $0.contains("65,536") && $0.contains("═") })
        style.foldsRunsOf = nil
        #expect(Ladder(trace, style: style).lines().count > folded.count + 100)
    }

    @Test("Colour comes only when asked for")
    func colour() {
        let trace = play("connect").trace
        #expect(!Ladder(trace).lines().joined().contains("\u{1B}"))
        var style = Ladder.Style()
        style.usesColor = true
        #expect(Ladder(trace, style: style).lines().joined().contains("\u{1B}[1m"))
    }
}
