package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is wrong with a transcript is said with its place. In these texts, single quotes stand for the double ones. */
class TranscriptReaderTest {

    private static final String ENVIRONMENT = "{'transcript':1,'kernel':'6.12','devices':[]}\n";

    private static Transcript read(String text) throws IOException {
        return read(text.replace('\'', '"').getBytes(StandardCharsets.UTF_8));
    }

    private static Transcript read(byte... bytes) throws IOException {
        return Transcript.read(new ByteArrayInputStream(bytes));
    }

    private static void assertRefused(String text, int line, int column, String reason) {
        assertThatExceptionOfType(TranscriptException.class).isThrownBy(() -> read(text)).satisfies(e -> {
            assertThat(e.reason()).contains(reason);
            assertThat(e).hasMessage("line " + line + ", column " + column + ": " + e.reason());
            assertThat(e.line()).isEqualTo(line);
            assertThat(e.column()).isEqualTo(column);
        });
    }

    /** The column is where ^ stands, which is not part of the line. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            ^nonsense                                                                         | Unrecognized token
            ^[]                                                                               | one JSON object
            {'op':'close','fd':3,'result':0} ^{}                                              | goes on behind it
            {'op':'close','fd':3,'result':0^                                                  | end-of-input
            {'op':'close','fd':3,'fd'^:3,'result':0}                                          | Duplicate
            {'fd':3,'result':0^}                                                              | "op" is missing
            {'op':^'lseek','result':0}                                                        | no such op; there are open
            {'op':^7,'result':0}                                                              | a text, and not a number
            {'op':'close','fd':3^}                                                            | "result" is missing
            {'op':'close','result':0^}                                                        | "fd" is missing
            {'op':'close','fd':^true,'result':0}                                              | a number, and not true or false
            {'op':'close','fd':^'d0','result':0}                                              | no line before has given
            {'op':'close','fd':^1.5,'result':0}                                               | no fractions
            {'op':'close','fd':^99999999999,'result':0}                                       | is not in
            {'op':'close','fd':3,'result':^'EINVAL'}                                          | -4095 on, or "fd"
            {'op':'close','fd':3,'result':^-4096}                                             | is not in -4095
            {'op':'close','fd':3,'result':^null}                                              | a number, and not null
            {'op':'close','fd':3,'result':0,'anyOf':^[0]}                                     | either "result" or "anyOf"
            {'op':'close','fd':3,'anyOf':^[]}                                                 | no result that would be right
            {'op':'close','fd':3,'anyOf':^0}                                                  | a list, and not a number
            {'op':'close','fd':3,'result':0,'pauseMillis':^-1}                                | is not in 0
            {'op':'close','fd':3,'result':0,^'arg':null}                                      | "arg" has no meaning for close
            {'op':'open','flags':2,'result':'fd'^}                                            | "path" is missing
            {'op':'open','path':^'dev/null','result':'fd'}                                    | absolute
            {'op':'open','path':^'/dev/null\\u0000','result':'fd'}                              | no NUL
            {'op':'open','as':^'','path':'/dev/null','result':'fd'}                           | has letters
            {'op':'ioctl','fd':3,'arg':null,'result':0^}                                      | "request" is missing
            {'op':'ioctl','fd':3,'request':^15205,'arg':null,'result':0}                      | a text, and not a number
            {'op':'ioctl','fd':3,'request':^'3b65','arg':null,'result':0}                     | like "0x3b75"
            {'op':'ioctl','fd':3,'request':^'0x12345678901234567','result':0}                 | like "0x3b75"
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':^true,'result':0}                   | null, a number or
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':^18446744073709551616,'result':0}   | does not fit 64 bits
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'000^g','result':0}                 | no hexadecimal digit
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':^'000','result':0}                  | two hexadecimal digits
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':1,^'out':'00','result':0}           | no meaning
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'0000','out':^'00','result':0}      | 2 bytes before the call, and here 1
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'0000','mapped':^3,'result':0}      | is not in 0 to 2
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'0000','fds':^{},'result':0}        | a list, and not an object
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'0000','fds':[^1],'result':0}       | an object, and not a number
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'00000000','fds':[{'offset':0^}],'result':0}              | "name" is missing
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'00000000','fds':[{'offset':^1,'name':'c'}],'result':0}   | has 4 bytes
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'00000000','fds':[{'offset':^-4,'name':'c'}],'result':0}  | is not in 0
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'00000000','fds':[{'offset':0,'name':^'c'}],'result':0}   | no line before
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'00000000','outFds':[{'offset':^2,'name':'m'}],'result':0}| has 4 bytes
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'00000000','pointees':[{'offset':^0,'in':''}],'result':0} | has 4 bytes
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'0000000000000000','pointees':[{'offset':0^}],'result':0} | "in" is missing
            {'op':'ioctl','fd':3,'request':'0x3b65','arg':'0000000000000000','pointees':[{'offset':0,'in':'00','out':^'0000'}],'result':0} | 1 bytes before
            {'op':'read','fd':3,'result':0^}                                                  | "length" is missing
            {'op':'read','fd':3,'length':^-1,'result':0}                                      | is not in 0
            {'op':'read','fd':3,'length':1,'data':^'0000','result':2}                         | more bytes were read
            {'op':'read','fd':3,'length':8,'data':^'0000','result':3}                         | not as many bytes
            {'op':'pread','fd':3,'length':8,'result':0^}                                      | "offset" is missing
            {'op':'write','fd':3,'result':0^}                                                 | "data" is missing
            {'op':'write','fd':3,'data':'00','length':^2,'result':0}                          | another length: 1 bytes
            {'op':'write','fd':3,'data':'00',^'offset':2,'result':0}                          | no meaning for write
            {'op':'sysfs','path':'/sys/x','result':0^}                                        | "value" is missing
            {'op':'sysfs','path':'/sys/x','value':^1,'result':0}                              | a text, and not a number
            """)
    void aLineThatCannotBeUnderstoodIsRefused(String marked, String reason) {
        assertRefused(ENVIRONMENT + marked.replace("^", "") + "\n", 2, marked.indexOf('^') + 1, reason);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {'kernel':'6.12'^}                                                                        | "transcript" is missing
            {'transcript':^2,'kernel':'6.12'}                                                         | only version 1
            {'transcript':1^}                                                                         | "kernel" is missing
            {'transcript':1,'kernel':^'6.13'}                                                         | Linux 6.13 is not emulated
            {'transcript':1,'kernel':'6.12','release':^6}                                             | a text
            {'transcript':1,'kernel':'6.12','options':{'dmaBuf':^1}}                                  | true or false
            {'transcript':1,'kernel':'6.12','iommuAddressBits':^64}                                   | 33 to 57
            {'transcript':1,'kernel':'6.12','devices':^{}}                                            | a list
            {'transcript':1,'kernel':'6.12','devices':[{'name':'x','group':1^}]}                      | "kind" is missing
            {'transcript':1,'kernel':'6.12','devices':[{'kind':^'usb','name':'x','group':1}]}         | pci, mtty and mdpy
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'pci','name':^'x','group':1}]}         | not a PCI address
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'pci','name':'0000:01:00.0'^}]}        | "group" is missing
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'mtty','name':^'x','group':1,'ports':1}]} | UUID
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'mtty','name':'83b8f4f2-509f-382f-3c1e-e6bfe0fa1001','group':1,'ports':^3}]} | 1 to 2
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'pci','name':^'0000:01:00.0','group':1,'bars':[{'index':0,'size':3,'kind':'memory'}]}]} | power of two
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'pci','name':'0000:01:00.0','group':1,'bars':[{'index':0,'size':16,'kind':^'rom'}]}]} | "memory" or
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'pci','name':'0000:01:00.0','group':1},{'kind':'pci','name':^'0000:01:00.0','group':1}]} | two functions
            {'transcript':1,'kernel':'6.12','options':{'cdev':true},'devices':[{'kind':'pci','name':'0000:01:00.0','group':1,'cdev':^'/dev/vfio/devices/vfio1'}]} | another number
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'pci','name':'0000:01:00.1','group':1,'virtualFunctionOf':^'0000:01:00.0'}]} | no such physical function
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'pci','name':'0000:01:00.0','group':1},{'kind':'pci','name':'0000:01:00.1','group':2,'virtualFunctionOf':^'0000:01:00.0'}]} | no "sriov"
            {'transcript':1,'kernel':'6.12','devices':[{'kind':'pci','name':'0000:01:00.0','group':1,'sriov':{'totalVfs':1}},{'kind':'pci','name':^'0000:01:00.2','group':2,'virtualFunctionOf':'0000:01:00.0'}]} | the first is 1 after
            """)
    void aMachineThatCannotBeIsRefused(String marked, String reason) {
        assertRefused(marked.replace("^", "") + "\n", 1, marked.indexOf('^') + 1, reason);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "\n\n", "  \n"})
    void anEmptyFileIsNoTranscript(String text) {
        assertRefused(text, 1, 1, "the first line, which says where the calls were made, is missing");
    }

    @Test
    void anEmptyLineIsNoCall() {
        assertRefused(ENVIRONMENT + "\n{'op':'close','fd':3,'result':0}\n", 2, 1, "one JSON object");
    }

    @Test
    void aNameIsGivenAnewOnlyWhenTheDescriptorIsClosed() throws IOException {
        String open = "{'op':'open','as':'n','path':'/dev/null','result':'fd'}\n";
        assertThat(read(ENVIRONMENT + open + "{'op':'close','fd':'n','result':0}\n" + open).size()).isEqualTo(3);
        assertRefused(ENVIRONMENT + open + "{'op':'close','fd':'n','result':-4}\n" + open, 4, 19,
                "has been given to a descriptor that is open");
    }

    @Test
    void aTranscriptIsUtf8() {
        byte[] file = (ENVIRONMENT + "{'ä':1,'op':'?").replace('\'', '"').getBytes(StandardCharsets.UTF_8);
        file[file.length - 1] = (byte) 0xff;
        assertThatExceptionOfType(TranscriptException.class).isThrownBy(() -> read(file))
                .withMessage("line 2, column 14: this is not UTF-8");
    }

    /** Keys the format does not have, line ends of either kind, no line end at all, keys that can be left out. */
    @Test
    void whatDoesNotMatterIsIgnored() throws IOException {
        Transcript transcript = read("""
                {'transcript':1,'kernel':'7.2','note':{'a':[1,null]},'devices':[]}\r
                {'op':'open','path':'/dev/null','comment':'ä','result':'fd'}\r
                {'op':'ioctl','fd':-1,'request':'0x3B64','result':-9}
                {'op':'read','fd':9999,'length':4,'anyOf':[-9,4,'fd']}""");
        assertThat(transcript.size()).isEqualTo(3);
        assertThat(transcript.environment().kernel().version()).isEqualTo("7.2");
    }
}
